//! A forwarder with a real Postgres and a real Redis.

use chassis::Readiness;
use instruments::Registry;
use testkit::{Redis, TestDatabase, wait_for};

use super::*;

const SOON: Duration = Duration::from_secs(20);

fn forwarder(database: &TestDatabase, redis: &Redis, condition: Condition) -> Arc<Forwarder> {
    let stream = bus::Options::at(&redis.url(), "test").unwrap();
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let clock = Clock::register(&Registry::new()).unwrap();
    Arc::new(Forwarder::new(
        database.options(),
        stream,
        Arc::default(),
        (metrics, clock, Tracer::default()),
        condition,
        9090,
    ))
}

#[tokio::test]
async fn a_leader_clears_the_fault_that_it_had_as_a_standby() {
    let (database, redis, life) = (TestDatabase::migrated().await, Redis::start().unwrap(), Life::new());
    let readiness = Readiness::new(&life, &Registry::new()).unwrap();
    let condition = readiness.condition("forwarding");
    // a check that failed right before the Lease was won
    condition.fail("no answer within 2s");
    let forwarder = forwarder(&database, &redis, condition);
    let forwards = wait_for("a forwarder whose condition holds", SOON, async || {
        if readiness.is_ready() { Ok(()) } else { Err("not ready") }
    });
    tokio::select! {
        () = Forwarder::forward(&forwarder, Leadership::Alone(life.clone()), None, &life) => panic!("it ended"),
        () = forwards => {}
    }
}

#[tokio::test]
async fn readings_that_are_in_the_stream_are_not_in_the_backlog() {
    let (database, redis, life) = (TestDatabase::migrated().await, Redis::start().unwrap(), Life::new());
    database.psql("insert into sensor_readings (sensor_id, value) select 'a', 1 from generate_series(1, 3)");
    let forwarder = forwarder(
        &database,
        &redis,
        Readiness::new(&life, &Registry::new()).unwrap().condition("forwarding"),
    );
    let metrics = &forwarder.metrics;
    let forwarded = wait_for("three readings in the stream and none in the backlog", SOON, async || {
        let counts = (metrics.readings.get(), metrics.backlog_ticks.get(), metrics.backlog_readings.get());
        if counts == (3, 0, 0) { Ok(()) } else { Err(format!("{counts:?}")) }
    });
    tokio::select! {
        () = Forwarder::forward(&forwarder, Leadership::Alone(life.clone()), None, &life) => panic!("it ended"),
        () = forwarded => {}
    }
}
