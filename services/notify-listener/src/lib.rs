//! Forwards: takes numbered snapshots of Postgres and appends what is new in each to the stream.
//!
//! `planner` decides, `forwarder` does what it decided, `doorbell` wakes it, `upkeep` looks after partitions.

pub mod chunk;
pub mod config;
mod doorbell;
mod forwarder;
mod leadership;
mod metrics;
pub mod planner;
mod upkeep;

use std::{sync::Arc, time::Duration};

use chassis::{Condition, Life, Service};
use store::Database;
use tokio::sync::Notify;

pub use crate::config::Config;
use crate::{forwarder::Forwarder, leadership::Leadership, metrics::Metrics};

/// How often the schema and the way to the database are looked at.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// How soon a schema that is missing or too old is looked at again.
const RECHECK_AFTER: Duration = Duration::from_millis(250);

/// The service's story: wait for the schema, listen for the bell, forward until told to stop.
pub async fn run(config: Config, service: Service) -> anyhow::Result<()> {
    let metrics = Metrics::register(&service.registry)?;
    let database = config.database.options("rowcast notify-listener")?;
    let stream = config.redis.options()?;
    let schema = service.readiness.condition("schema");
    let life = service.life.clone();

    let reader = Database::new(&database, 1);
    tokio::select! {
        () = await_schema(&reader, &schema) => {}
        () = life.stopping() => return Ok(()),
    }
    life.spawn("schema check", watch_schema(reader, schema, life.clone()));

    let bell = Arc::new(Notify::new());
    life.spawn("doorbell", doorbell::answer(database.clone(), bell.clone(), metrics.clone(), life.clone()));
    life.spawn("upkeep", upkeep::keep(database.clone(), config.retention, life.clone()));

    let leadership = Leadership::always(&life);
    Forwarder::new(database, stream, bell, metrics).forward(&leadership).await;
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
