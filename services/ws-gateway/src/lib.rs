//! Reads: live sockets, replay from wherever a client left off, history, and the page.
//!
//! The way of a reading: `fanout::feed` → `fanout::hub` (who wants it) → `fanout::mailbox` → `session` (what is sent, written by
//! `encode`) → `outbox` → `connection`.

pub mod admission;
pub mod budget;
pub mod config;
mod connection;
mod drain;
pub mod encode;
pub mod fanout;
#[cfg(test)]
mod fuzz;
mod gateway;
mod history;
mod history_reader;
mod jitter;
mod metrics;
pub mod outbox;
mod routes;
mod saturation;
pub mod session;
mod tickets;
mod websocket;

use std::{sync::Arc, time::Duration};

use access::Gate;
use chassis::{Clock, Fault, Life, Pace, Service};
use store::Database;
use tokio::sync::watch;

pub use crate::config::Config;
use crate::{
    admission::{roster::Roster, subjects::Subjects},
    budget::Budget,
    fanout::{feed::Feed, hub::Hub, replay::Replay},
    gateway::{Documents, Gateway},
    history_reader::HistoryReader,
    metrics::Metrics,
    outbox::Backlog,
    tickets::Tickets,
};

/// Connections for replay, snapshots and readiness.
const READERS: u32 = 6;

/// How long a read may take in the database.
const READ_LIMIT: Duration = Duration::from_secs(20);

/// How often the schema is checked.
const SCHEMA_PACE: Pace = Pace { holding: Duration::from_secs(5), failing: Duration::from_millis(250) };

/// The service's story: wait for the schema, follow the stream, serve clients from it.
pub async fn run(config: Config, service: Service) -> anyhow::Result<()> {
    let metrics = Metrics::register(&service.registry)?;
    let postgres = store::Metrics::register(&service.registry)?;
    let redis = bus::Metrics::register(&service.registry)?;
    let options = |name| anyhow::Ok(config.database.options(name)?.counted_by(&postgres));
    let database = Database::new(&options("rowcast ws-gateway")?.statement_timeout(READ_LIMIT), READERS);
    let history = HistoryReader::new(options("rowcast ws-gateway history")?, metrics.clone());
    let hub = Hub::new(config.gateway.window_bytes).counted_by(metrics.subscriptions.clone());
    let condition = |name| service.readiness.condition(name);
    let (schema, feed, room) = (condition("schema"), condition("feed"), condition("room"));
    let life = service.life.clone();
    let clock = Clock::register(&service.registry)?;
    let reader = database.clone();
    life.spawn("clock", clock.clone().follow(life.clone(), async move || reader.now_micros().await));
    let limits = &config.limits;
    let connections = (limits.connections, limits.connections_per_address);
    let roster = Roster::new(connections, hub.clone(), room, metrics.sessions.clone());

    let (denials, defaults) = (access::Metrics::register(&service.registry)?, limits.defaults()?);
    let gate = Gate::new(&config.auth, clock.clone(), denials, defaults).map_err(anyhow::Error::msg)?;
    gate.follow(&life, &service.readiness, database.clone());
    if let Some(changes) = gate.changes() {
        life.spawn("rechecks", recheck(changes, roster.clone(), life.clone()));
    }

    let listener = chassis::bind(config.http.addr).await?;
    let stream = config.redis.options()?.counted_by(&redis);
    let replay = Replay::new(hub.clone(), database.clone(), metrics.clone());
    life.spawn("purge", replay.clone().purge(life.clone()));
    let gateway = Arc::new(Gateway {
        gate,
        hub: hub.clone(),
        replay,
        history,
        roster: roster.clone(),
        subjects: Subjects::default(),
        tickets: Tickets::new(stream.clone(), database.clone()),
        life: life.clone(),
        shared_clock: clock.clone(),
        metrics: metrics.clone(),
        limits: Arc::new(limits.of_connection()),
        timers: config.timers(),
        backlog: Backlog::new(limits.backlog_bytes, Budget::new(limits.pattern_bytes)),
        prefix: config.http.prefix.clone(),
        documents: Documents::default(),
    });
    let origins = config.origins().map_err(anyhow::Error::msg)?;
    life.spawn("saturation", saturation::measure(gateway.clone()));
    let router = routes::router(gateway, &config.gateway, origins)?;
    chassis::serve(&service, listener, &config.http, router)?;
    life.spawn_work(drain::drain(roster.clone(), life.clone(), metrics.draining.clone()));

    tokio::select! {
        () = schema.until_held(async || check_schema(&database).await, SCHEMA_PACE) => {}
        () = life.stopping() => return Ok(()),
    }
    let reader = database.clone();
    life.spawn("schema check", schema.watch(async move || check_schema(&reader).await, SCHEMA_PACE));
    let tell_all = Box::new(move || roster.all().iter().for_each(|mailbox| mailbox.nudge()));
    Feed::new(stream, database, (hub, tell_all), feed, (metrics, clock, service.tracer)).follow(life).await;
    Ok(())
}

/// Has all connections check again what their clients may do, whenever keys or revocations have changed.
async fn recheck(mut changes: watch::Receiver<()>, roster: Roster, life: Life) {
    while let Some(Ok(())) = life.soft().run_until_cancelled(changes.changed()).await {
        roster.all().iter().for_each(|mailbox| mailbox.recheck());
    }
}

/// An unreachable database is no reason to be unready: it is so for all replicas. A schema that is too old is.
async fn check_schema(database: &Database) -> Result<(), Fault> {
    database.check_schema().await.map_err(|error| Fault::of(&error, !error.is_too_old()))
}
