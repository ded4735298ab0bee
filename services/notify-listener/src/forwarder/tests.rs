//! A forwarder with a real Postgres and a real Redis.

use chassis::Readiness;
use prometheus::Registry;
use testkit::{Redis, TestDatabase, wait_for};

use super::*;

#[tokio::test]
async fn who_leads_takes_back_what_it_said_as_a_standby() {
    let (database, redis, life) = (TestDatabase::migrated().await, Redis::start().unwrap(), Life::new());
    let readiness = Readiness::new(&life);
    let condition = readiness.condition("forwarding");
    // a look that failed, right before the Lease was won
    condition.fail("no answer within 2s");
    let stream = bus::Options::at(&redis.url(), "test").unwrap();
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let forwarder =
        Arc::new(Forwarder::new(database.options(), stream, Arc::default(), metrics, condition, 9090));
    let told = wait_for("a forwarder that says that it forwards", Duration::from_secs(20), async || {
        if readiness.is_ready() { Ok(()) } else { Err("it says that it does not") }
    });
    tokio::select! {
        () = Forwarder::forward(&forwarder, Leadership::Alone(life.clone()), None, &life) => panic!("it ended"),
        () = told => {}
    }
}
