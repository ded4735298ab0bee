//! What the connections count, as a scrape shows it.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{net::SocketAddr, time::Duration};

use instruments::Registry;
use prometheus::TextEncoder;
use store::{Database, Inserter, Metrics, NewReading, Options};
use testkit::{Proxy, TestDatabase, proxy::LinkState};
use tokio::time::Instant;

/// A series without its prefix.
#[track_caller]
fn value(registry: &Registry, series: &str) -> f64 {
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let name = format!("rowcast_postgres_{series} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&name));
    value.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().unwrap()
}

fn reading(metadata: &str) -> NewReading {
    let (sensor_id, metadata) = ("s".to_owned(), metadata.to_owned());
    NewReading { sensor_id, value: 1.0, timestamp: None, metadata, traceparent: None, key: None }
}

#[tokio::test]
async fn statements_are_timed_by_kind_and_refused_data_is_no_error() {
    let db = TestDatabase::migrated().await;
    let registry = Registry::new();
    let options = db.options().counted_by(&Metrics::register(&registry).unwrap());
    let mut inserter = Inserter::connect(&options).await.unwrap();
    let soon = Instant::now() + Duration::from_secs(5);
    inserter.insert(&[&reading("{}")], soon).await.unwrap();
    assert!(inserter.insert(&[&reading("no json")], soon).await.is_err_and(|error| error.is_data_error()));
    assert_eq!(value(&registry, "statement_duration_seconds_count{statement=\"insert\"}"), 2.0);
    assert_eq!(value(&registry, "statement_errors_total{statement=\"insert\"}"), 0.0);

    let database = Database::new(&options, 3);
    assert_eq!(value(&registry, "schema_version"), 0.0);
    database.check_schema().await.unwrap();
    database.head().await.unwrap();
    assert_eq!(value(&registry, "schema_version"), store::schema::required_version() as f64);
    assert_eq!(value(&registry, "statement_duration_seconds_count{statement=\"connect\"}"), 2.0);
    assert_eq!(value(&registry, "pool_limit"), 3.0);
    assert_eq!(value(&registry, "pool_connections{state=\"idle\"}"), 1.0);
    assert_eq!(value(&registry, "pool_connections{state=\"busy\"}"), 0.0);
    assert_eq!(value(&registry, "pool_wait_seconds_count"), 2.0);
    database.close().await;
    assert_eq!(value(&registry, "pool_connections{state=\"idle\"}"), 0.0);

    db.psql("drop table rowcast.epoch cascade");
    let database = Database::new(&options, 1);
    database.head().await.unwrap_err();
    assert_eq!(value(&registry, "statement_errors_total{statement=\"head\"}"), 1.0);
}

#[tokio::test]
async fn a_silent_database_is_an_error_of_its_statement_and_readers_wait() {
    let db = TestDatabase::migrated().await;
    let (before, after) = db.url.split_once("127.0.0.1:").unwrap();
    let (port, name) = after.split_once('/').unwrap();
    let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()))).await.unwrap();
    let registry = Registry::new();
    let options = Options::new(&format!("{before}{}/{name}", proxy.addr()), "test").unwrap();
    let options = options.statement_timeout(Duration::from_secs(1));
    let database = Database::new(&options.counted_by(&Metrics::register(&registry).unwrap()), 1);
    database.head().await.unwrap();
    proxy.set(LinkState::Frozen);
    // the first waits for its answer, the second then for a connection, the third meanwhile for its turn
    let busy = async {
        tokio::task::yield_now().await;
        value(&registry, "pool_connections{state=\"busy\"}")
    };
    let (first, second, third, busy) =
        tokio::join!(biased; database.head(), database.head(), database.head(), busy);
    assert!(first.is_err() && second.is_err() && third.is_err());
    assert_eq!(busy, 1.0);
    assert_eq!(value(&registry, "statement_errors_total{statement=\"head\"}"), 1.0);
    assert_eq!(value(&registry, "statement_errors_total{statement=\"connect\"}"), 1.0);
    assert_eq!(value(&registry, "pool_timeouts_total"), 1.0);
    assert_eq!(value(&registry, "pool_connections{state=\"busy\"}"), 0.0);
    assert_eq!(value(&registry, "pool_connections{state=\"idle\"}"), 0.0);
}
