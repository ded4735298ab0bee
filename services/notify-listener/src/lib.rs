//! Forwards: takes numbered snapshots of Postgres and appends what is new in each to the stream.
//!
//! `planner` decides, `forwarder` performs, `notifications` wakes it, `upkeep` maintains partitions, `memory` checks the memory of
//! Redis. Of several replicas one forwards (`leadership`); the others keep connections and check the leader's work (`standby`,
//! `lag`).

mod chunk;
pub mod config;
mod counts;
mod forwarder;
mod hostname;
pub mod lag;
mod leadership;
mod memory;
mod metrics;
mod notifications;
pub mod planner;
mod standby;
mod upkeep;

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chassis::{Clock, Fault, Life, Pace, Service};
use store::{Database, NotificationMetrics};
use tokio::sync::Notify;

pub use crate::config::Config;
use crate::{
    forwarder::{Forwarder, STATEMENT_LIMIT},
    hostname::hostname,
    leadership::Candidacy,
    metrics::Metrics,
    standby::Standby,
};

/// How often the schema is checked.
const SCHEMA_PACE: Pace = Pace { holding: Duration::from_secs(5), failing: Duration::from_millis(250) };

/// Waits for the schema, stands for election, listens for notifications, forwards while leading.
pub async fn run(config: Config, service: Service) -> anyhow::Result<()> {
    let metrics = Metrics::register(&service.registry)?;
    let postgres = store::Metrics::register(&service.registry)?;
    let database = config.database.options_of_own_session("rowcast notify-listener")?;
    let database = database.statement_timeout(STATEMENT_LIMIT).counted_by(&postgres);
    let stream = config.redis.options()?.counted_by(&bus::Metrics::register(&service.registry)?);
    let queue = NotificationMetrics::register(&service.registry)?;
    let schema = service.readiness.condition("schema");
    let life = service.life.clone();

    let (clock, tracer) = (Clock::register(&service.registry)?, service.tracer.clone());
    let reader = Database::new(&database, 1);
    tokio::select! {
        () = schema.until_held(async || check_schema(&reader).await, SCHEMA_PACE) => {}
        () = life.stopping() => return Ok(()),
    }
    let read_clock = reader.clone();
    life.spawn("clock", clock.clone().follow(life.clone(), async move || read_clock.now_micros().await));
    life.spawn("notification queue", notifications::watch_queue(reader.clone(), queue, life.clone()));
    life.spawn("schema check", schema.watch(async move || check_schema(&reader).await, SCHEMA_PACE));

    let wake = Arc::new(Notify::new());
    let listen = notifications::listen(database.clone(), wake.clone(), metrics.clone(), life.clone());
    life.spawn("notifications", listen);
    let report = upkeep::Report {
        condition: service.readiness.condition("upkeep"),
        failures: metrics.upkeep_failures.clone(),
        succeeded_at: metrics.upkeep_success.clone(),
        partitions_ahead: metrics.partitions_ahead.clone(),
    };
    let upkeep = upkeep::keep(database.clone(), config.retention, report, life.clone());
    life.spawn("upkeep", upkeep);
    let redis = service.readiness.condition("redis");
    life.spawn("memory", memory::watch(stream.clone(), redis, life.clone()));
    let forwarding = service.readiness.condition("forwarding");
    // the leader and a standby both set it
    forwarding.hold();

    let candidacy = match config.lease.mode {
        lease::Mode::Off => Candidacy::Alone(life.clone()),
        lease::Mode::Kubernetes => {
            let standby = Standby::new(database.clone(), stream.clone(), metrics.clone(), forwarding.clone());
            stand(&config.lease, &service, standby).await?
        }
    };
    let forwarder = Arc::new(Forwarder::new(
        database,
        stream,
        wake,
        (metrics, clock, tracer),
        forwarding,
        service.admin.addr.port(),
    ));
    // a task of its own: what this function awaits would wake one thread and run on another
    life.spawn("forwarder", forward(candidacy, forwarder, life.clone()));
    life.stopping().await;
    Ok(())
}

/// Forwards whenever it leads.
async fn forward(mut candidacy: Candidacy, forwarder: Arc<Forwarder>, life: Life) {
    loop {
        tokio::select! {
            biased;
            () = life.stopping() => return,
            (leadership, warm) = candidacy.lead() => {
                Forwarder::forward(&forwarder, leadership, warm, &life).await;
            }
        }
    }
}

/// Stands for election in the background, for as long as the service lives.
async fn stand(config: &lease::Config, service: &Service, standby: Standby) -> anyhow::Result<Candidacy> {
    let life = service.life.clone();
    let metrics = lease::Metrics::register(&service.registry)?;
    let pod = config.pod.clone().unwrap_or_else(hostname);
    let began = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let (candidate, elections, announcer) =
        lease::stand(config, &pod, &format!("{began:x}"), metrics).await?;
    life.spawn("elector", {
        let life = life.clone();
        async move { candidate.run(life.stopping()).await }
    });
    life.spawn_work(announcer);
    Ok(Candidacy::Elected { elections, standby: Box::new(standby) })
}

/// An unreachable database is no reason to be unready: it is so for all replicas. A schema that is too old is.
async fn check_schema(database: &Database) -> Result<(), Fault> {
    database.check_schema().await.map_err(|error| Fault::of(&error, !error.is_too_old()))
}
