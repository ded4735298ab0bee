//! Reads: live sockets, replay from wherever a client left off, and the page.
//!
//! A reading's way: `feed` → `hub` (who wants it) → `mailbox` → `session` (what is said) → `outbox` →
//! `socket`.

pub mod batch;
pub mod config;
mod feed;
pub mod hub;
mod interest;
pub mod mailbox;
mod metrics;
pub mod outbox;
mod page;
mod replay;
mod routes;
pub mod session;
mod socket;
mod upgrade;
mod window;
mod ws_frame;

use std::time::Duration;

use chassis::{Condition, HttpMetrics, Life, Service};
use store::Database;

pub use crate::config::Config;
use crate::{feed::Feed, hub::Hub, metrics::Metrics, replay::Replay, routes::App};

/// Connections for replay, snapshots and readiness.
const READERS: u32 = 6;

/// How long a read may take in the database.
const READ_LIMIT: Duration = Duration::from_secs(20);

/// How often the schema is looked at.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// How soon a schema that is missing or too old is looked at again.
const RECHECK_AFTER: Duration = Duration::from_millis(250);

/// The service's story: wait for the schema, follow the stream, serve sockets from it.
pub async fn run(config: Config, service: Service) -> anyhow::Result<()> {
    let metrics = Metrics::register(&service.registry)?;
    let database = config.database.options("rowcast ws-gateway")?.statement_timeout(READ_LIMIT);
    let database = Database::new(&database, READERS);
    let hub = Hub::new(config.gateway.window_bytes);
    let (schema, feed) = (service.readiness.condition("schema"), service.readiness.condition("feed"));
    let life = service.life.clone();

    let listener = chassis::bind(config.http.addr).await?;
    let replay = Replay::new(hub.clone(), database.clone());
    let app = App { hub: hub.clone(), replay, life: life.clone(), metrics: metrics.clone() };
    let router = routes::router(app, &config.gateway)?;
    let http = HttpMetrics::register(&service.registry)?;
    chassis::serve(&life, listener, &config.http, router, &http);

    tokio::select! {
        () = await_schema(&database, &schema) => {}
        () = life.stopping() => return Ok(()),
    }
    life.spawn("schema check", watch_schema(database.clone(), schema, life.clone()));
    Feed::new(config.redis.options()?, database, hub, feed, metrics).follow(life).await;
    Ok(())
}

async fn await_schema(database: &Database, schema: &Condition) {
    while let Err(error) = database.check_schema().await {
        schema.fail(error.to_string());
        tokio::time::sleep(RECHECK_AFTER).await;
    }
    schema.hold();
}

async fn watch_schema(database: Database, schema: Condition, life: Life) {
    while life.soft().run_until_cancelled(tokio::time::sleep(CHECK_EVERY)).await.is_some() {
        schema.set(database.check_schema().await);
    }
}
