//! Forwards: takes numbered snapshots of Postgres and appends what is new in each to the stream.
//!
//! `planner` decides, `forwarder` does what it decided, `doorbell` wakes it, `upkeep` looks after partitions, `memory` after
//! the room that Redis has. Of several replicas one forwards (`leadership`); the others keep connections and watch (`standby`,
//! `lag`).

pub mod chunk;
pub mod config;
mod doorbell;
mod forwarder;
pub mod lag;
mod leadership;
mod memory;
mod metrics;
pub mod planner;
mod standby;
mod upkeep;

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chassis::{Fault, Life, Pace, Service};
use store::Database;
use tokio::sync::Notify;

pub use crate::config::Config;
use crate::{
    forwarder::{Forwarder, STATEMENT_LIMIT, hostname},
    leadership::Candidacy,
    metrics::Metrics,
    standby::Standby,
};

/// How often the schema and the way to the database are looked at.
const SCHEMA_PACE: Pace = Pace { holding: Duration::from_secs(5), failing: Duration::from_millis(250) };

/// The service's story: wait for the schema, stand for election, listen for the bell, forward while leading.
pub async fn run(config: Config, service: Service) -> anyhow::Result<()> {
    let metrics = Metrics::register(&service.registry)?;
    let database =
        config.database.options_of_own_session("rowcast notify-listener")?.statement_timeout(STATEMENT_LIMIT);
    let stream = config.redis.options()?;
    let schema = service.readiness.condition("schema");
    let life = service.life.clone();

    let reader = Database::new(&database, 1);
    tokio::select! {
        () = schema.until_held(async || check_schema(&reader).await, SCHEMA_PACE) => {}
        () = life.stopping() => return Ok(()),
    }
    life.spawn("schema check", schema.watch(async move || check_schema(&reader).await, SCHEMA_PACE));

    let bell = Arc::new(Notify::new());
    life.spawn("doorbell", doorbell::answer(database.clone(), bell.clone(), metrics.clone(), life.clone()));
    let told = upkeep::Told {
        condition: service.readiness.condition("upkeep"),
        failures: metrics.upkeep_failures.clone(),
    };
    let upkeep = upkeep::keep(database.clone(), config.retention, told, life.clone());
    life.spawn("upkeep", upkeep);
    let room = service.readiness.condition("redis");
    life.spawn("memory", memory::watch(stream.clone(), room, life.clone()));
    let forwarding = service.readiness.condition("forwarding");
    // whoever leads, or looks at the leader, can fail at it
    forwarding.hold();

    let candidacy = match config.lease.mode {
        lease::Mode::Off => Candidacy::Alone(life.clone()),
        lease::Mode::Kubernetes => {
            let standby = Standby::new(database.clone(), stream.clone(), metrics.clone(), forwarding.clone());
            stand(&config.lease, &service, standby).await?
        }
    };
    let forwarder =
        Arc::new(Forwarder::new(database, stream, bell, metrics, forwarding, service.admin.addr.port()));
    // A task like the others: what this function waits for itself is heard by one thread and done by another.
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

/// A database that is away is away for all replicas; a schema that is too old is for other releases.
async fn check_schema(database: &Database) -> Result<(), Fault> {
    database.check_schema().await.map_err(|error| Fault::of(&error, !error.is_too_old()))
}
