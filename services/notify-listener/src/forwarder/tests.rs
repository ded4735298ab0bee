//! A forwarder with a real Postgres and a real Redis.

use chassis::Readiness;
use prometheus::Registry;
use testkit::{Redis, TestDatabase, wait_for};

use super::*;

#[tokio::test]
async fn a_leader_clears_the_fault_that_it_had_as_a_standby() {
    let (database, redis, life) = (TestDatabase::migrated().await, Redis::start().unwrap(), Life::new());
    let readiness = Readiness::new(&life);
    let condition = readiness.condition("forwarding");
    // a check that failed right before the Lease was won
    condition.fail("no answer within 2s");
    let stream = bus::Options::at(&redis.url(), "test").unwrap();
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let forwarder =
        Arc::new(Forwarder::new(database.options(), stream, Arc::default(), metrics, condition, 9090));
    let forwards = wait_for("a forwarder whose condition holds", Duration::from_secs(20), async || {
        if readiness.is_ready() { Ok(()) } else { Err("not ready") }
    });
    tokio::select! {
        () = Forwarder::forward(&forwarder, Leadership::Alone(life.clone()), None, &life) => panic!("it ended"),
        () = forwards => {}
    }
}
