//! Everything at once, for a short time; `cargo xtask chaos --oracle` runs for as long as requested.

use std::time::Duration;

use e2e::{Plan, oracle::Oracle};
use rand::RngExt;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_each_client_gets_what_its_filter_selects_of_what_it_was_granted() {
    let seed = rand::rng().random_range(0..1_000_000);
    let oracle = Oracle::start(Plan { gateways: 2, listeners: 2 }).await.unwrap();
    let logs = oracle.stack.logs().to_owned();
    let summary = oracle.run(seed, Duration::from_secs(25)).await;
    let summary =
        summary.unwrap_or_else(|error| panic!("seed {seed}: {error:#}; logs in {}", logs.display()));
    assert!(
        summary.events > 100 && summary.subscriptions > 10 && summary.grants > 50,
        "seed {seed}: {summary:?}"
    );
}
