//! Writes: takes readings over HTTP, checks them, and commits them in groups.
//!
//! A request's way: `routes` → `body` (its readings) → `committer` (one INSERT for all that wait) → the answer.

mod app;
mod body;
mod check_json;
mod committer;
mod config;
mod encoding;
#[cfg(test)]
mod fuzz;
mod hooks;
mod influx;
mod keys;
mod large;
mod limits;
mod metrics;
mod permission;
mod receive;
mod refusals;
mod request_key;
mod routes;
mod stored_form;
mod times;
mod writer;

use std::time::Duration;

use access::Gate;
use anyhow::Context;
use chassis::{Clock, Fault, Faults, Pace, Service};
use store::Database;

pub use crate::config::Config;
use crate::{
    app::{App, Bodies},
    committer::Committer,
    hooks::Hooks,
    large::Large,
    metrics::Metrics,
};

/// Connections for GET requests and readiness.
const READERS: u32 = 4;

/// How long a GET may take in the database.
const READ_LIMIT: Duration = Duration::from_secs(2);

/// How often it is checked that an INSERT would succeed.
const CHECK_PACE: Pace = Pace { holding: Duration::from_secs(2), failing: Duration::from_millis(250) };

/// Starts the lanes to the database, then the routes before them, then the port.
pub async fn run(config: Config, service: Service) -> anyhow::Result<()> {
    let metrics = Metrics::register(&service.registry)?;
    let postgres = store::Metrics::register(&service.registry)?;
    let options = config.database.options("rowcast ingest")?.counted_by(&postgres);
    let database = Database::new(&options.clone().statement_timeout(READ_LIMIT).with_custom_plans(), READERS);
    let (origins, bodies) =
        (config.origins().map_err(anyhow::Error::msg)?, Bodies::new(config.ingest.body_bytes));
    let influx = config.ingest.influx_sensor.parse().map_err(anyhow::Error::msg)?;
    let mut faults = Faults::default();
    let hooks = Hooks::new(&config.hooks, &mut faults);
    anyhow::ensure!(faults.is_empty(), "{faults}");
    let committer =
        Committer::start(&service.life, options, config.ingest, (metrics, service.tracer.clone()))
            .context("cannot start the commit thread")?;
    let (schema, ready) = (service.readiness.condition("schema"), service.readiness.condition("database"));

    let listener = chassis::bind(config.http.addr).await?;
    let clock = Clock::register(&service.registry)?;
    let (denials, defaults) = (access::Metrics::register(&service.registry)?, config.limits.defaults()?);
    let gate = Gate::new(&config.auth, clock.clone(), denials, defaults).map_err(anyhow::Error::msg)?;
    gate.follow(&service.life, &service.readiness, database.clone());
    let router = routes::router(
        App { gate, database: database.clone(), committer, bodies, large: Large::new(), influx, hooks },
        origins,
    );
    chassis::serve(&service, listener, &config.http, router)?;
    let reader = database.clone();
    let follow = clock.follow(service.life.clone(), async move || reader.now_micros().await);
    service.life.spawn("clock", follow);
    let reader = database.clone();
    service.life.spawn("schema check", schema.watch(async move || check_schema(&reader).await, CHECK_PACE));
    service.life.spawn("readiness", ready.watch(async move || can_insert(&database).await, CHECK_PACE));
    service.life.stopping().await;
    Ok(())
}

/// An unreachable database is no reason to be unready: it is so for all replicas. A schema that is too old is.
async fn check_schema(database: &Database) -> Result<(), Fault> {
    database.check_schema().await.map_err(|error| Fault::of(&error, !error.is_too_old()))
}

async fn can_insert(database: &Database) -> Result<(), Fault> {
    match database.accepts_readings().await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Fault::Shared("the database is read-only or this user may not insert".to_owned())),
        Err(error) => Err(Fault::of(&error, true)),
    }
}
