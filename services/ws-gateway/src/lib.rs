//! Reads: live sockets, replay from wherever a client left off, history, and the page.
//!
//! A reading's way: `feed` → `hub` (who wants it) → `mailbox` → `session` (what is said, in its `form`) → `outbox` →
//! `connection`.

pub mod batch;
pub mod config;
mod connection;
mod drain;
mod feed;
mod form;
#[cfg(test)]
mod fuzz;
mod history;
pub mod hub;
mod interest;
pub mod kept;
mod lock;
pub mod mailbox;
mod metrics;
pub mod outbox;
mod page;
mod pull;
mod query;
mod replay;
mod roster;
mod routes;
pub mod session;
mod window;
mod ws_frame;
mod ws_message;

use std::{sync::Arc, time::Duration};

use chassis::{Fault, HttpMetrics, Pace, Service};
use store::Database;

pub use crate::config::Config;
pub use crate::form::Form;
use crate::{
    feed::Feed,
    history::History,
    hub::Hub,
    kept::Kept,
    metrics::Metrics,
    outbox::Backlog,
    replay::Replay,
    roster::Roster,
    routes::{Documents, Gateway},
};

/// Connections for replay, snapshots and readiness.
const READERS: u32 = 6;

/// How long a read may take in the database.
const READ_LIMIT: Duration = Duration::from_secs(20);

/// How often the schema is looked at.
const SCHEMA_PACE: Pace = Pace { holding: Duration::from_secs(5), failing: Duration::from_millis(250) };

/// The service's story: wait for the schema, follow the stream, serve clients from it.
pub async fn run(config: Config, service: Service) -> anyhow::Result<()> {
    let metrics = Metrics::register(&service.registry)?;
    let database = config.database.options("rowcast ws-gateway")?.statement_timeout(READ_LIMIT);
    let database = Database::new(&database, READERS);
    let history = History::new(config.database.options("rowcast ws-gateway history")?, metrics.clone());
    let hub = Hub::new(config.gateway.window_bytes);
    service.registry.register(Box::new(hub.attached().clone()))?;
    let condition = |name| service.readiness.condition(name);
    let (schema, feed, room) = (condition("schema"), condition("feed"), condition("room"));
    let life = service.life.clone();
    let limits = &config.limits;
    let places = (limits.connections, limits.connections_per_address);
    let roster = Roster::new(places, hub.clone(), room, metrics.sessions.clone());

    let listener = chassis::bind(config.http.addr).await?;
    let replay = Replay::new(hub.clone(), database.clone(), metrics.clone());
    life.spawn("purge", replay.clone().purge(life.clone()));
    let gateway = Arc::new(Gateway {
        hub: hub.clone(),
        replay,
        history,
        roster: roster.clone(),
        life: life.clone(),
        metrics: metrics.clone(),
        limits: Arc::new(limits.of_connection()),
        patience: config.patience(),
        backlog: Backlog::new(limits.backlog_bytes, Kept::new(limits.pattern_bytes)),
        prefix: config.http.prefix.clone(),
        documents: Documents::default(),
    });
    let origins = config.origins().map_err(anyhow::Error::msg)?;
    let router = routes::router(gateway, &config.gateway, origins)?;
    let http = HttpMetrics::register(&service.registry)?;
    chassis::serve(&life, listener, &config.http, router, &http);
    life.spawn_work(drain::drain(roster.clone(), life.clone(), metrics.draining.clone()));

    tokio::select! {
        () = schema.until_held(async || check_schema(&database).await, SCHEMA_PACE) => {}
        () = life.stopping() => return Ok(()),
    }
    let reader = database.clone();
    life.spawn("schema check", schema.watch(async move || check_schema(&reader).await, SCHEMA_PACE));
    Feed::new(config.redis.options()?, database, (hub, roster), feed, metrics).follow(life).await;
    Ok(())
}

/// A database that is away is away for all replicas; a schema that is too old is for other releases.
async fn check_schema(database: &Database) -> Result<(), Fault> {
    database.check_schema().await.map_err(|error| Fault::of(&error, !error.is_too_old()))
}
