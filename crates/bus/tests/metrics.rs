//! What the connections count, as a scrape shows it.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use bus::{Appender, Metrics, Options, Read, Tail};
use instruments::Registry;
use prometheus::TextEncoder;
use testkit::Redis;
use wire::{Epoch, Position, Tick};

const EPOCH: Epoch = Epoch(7);

/// A series without its prefix.
#[track_caller]
fn value(registry: &Registry, series: &str) -> f64 {
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let name = format!("rowcast_redis_{series} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&name));
    value.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().unwrap()
}

#[tokio::test]
async fn commands_are_timed_by_kind_and_their_failures_counted() {
    let redis = Redis::start().unwrap();
    let registry = Registry::new();
    let options =
        Options::at(&redis.url(), "counts").unwrap().counted_by(&Metrics::register(&registry).unwrap());
    let options = options.of("database");
    let mut appender = Appender::connect(&options).await.unwrap();
    appender.beat(EPOCH).await.unwrap();
    assert_eq!(appender.beats(EPOCH).await.unwrap(), 1);
    let mut tail = Tail::connect(&options).await.unwrap();
    let start = Position::after_tick(EPOCH, Tick(1));
    assert!(matches!(tail.read(start, Duration::from_millis(10)).await.unwrap(), Read::Quiet));
    for (command, times) in [("connect", 2.0), ("beat", 1.0), ("read_beat", 1.0), ("follow", 1.0)] {
        let series = format!("command_duration_seconds_count{{command=\"{command}\"}}");
        assert_eq!(value(&registry, &series), times, "{command}");
    }
    // a wait that is given up is no error, and a command on a connection that broke is one
    let wait = tail.read(start, Duration::from_secs(60));
    tokio::time::timeout(Duration::from_millis(50), wait).await.unwrap_err();
    drop(redis);
    appender.beat(EPOCH).await.unwrap_err();
    assert_eq!(value(&registry, "command_errors_total{command=\"follow\"}"), 0.0);
    assert_eq!(value(&registry, "command_errors_total{command=\"beat\"}"), 1.0);
}
