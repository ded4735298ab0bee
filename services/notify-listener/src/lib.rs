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

use chassis::{Pace, Service};
use store::Database;
use tokio::sync::Notify;

pub use crate::config::Config;
use crate::{forwarder::Forwarder, leadership::Leadership, metrics::Metrics};

/// How often the schema and the way to the database are looked at.
const SCHEMA_PACE: Pace = Pace { holding: Duration::from_secs(5), failing: Duration::from_millis(250) };

/// The service's story: wait for the schema, listen for the bell, forward until told to stop.
pub async fn run(config: Config, service: Service) -> anyhow::Result<()> {
    let metrics = Metrics::register(&service.registry)?;
    let database = config.database.options("rowcast notify-listener")?;
    let stream = config.redis.options()?;
    let schema = service.readiness.condition("schema");
    let life = service.life.clone();

    let reader = Database::new(&database, 1);
    tokio::select! {
        () = schema.until_held(async || reader.check_schema().await, SCHEMA_PACE) => {}
        () = life.stopping() => return Ok(()),
    }
    life.spawn("schema check", schema.watch(async move || reader.check_schema().await, SCHEMA_PACE));

    let bell = Arc::new(Notify::new());
    life.spawn("doorbell", doorbell::answer(database.clone(), bell.clone(), metrics.clone(), life.clone()));
    life.spawn("upkeep", upkeep::keep(database.clone(), config.retention, life.clone()));

    let leadership = Leadership::always(&life);
    Forwarder::new(database, stream, bell, metrics).forward(&leadership).await;
    Ok(())
}
