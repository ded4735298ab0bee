//! Partitions ahead of time, and an end to what is past its retention.

use std::time::Duration;

use chassis::Life;
use store::Leader;

use crate::{config::Retention, metrics::Metrics};

/// Partitions are made for this many days ahead: a weekend without a leader finds them there.
const DAYS_AHEAD: i32 = 3;

/// How often there is upkeep.
const EVERY: Duration = Duration::from_secs(600);

/// How soon after one that failed.
const AGAIN: Duration = Duration::from_secs(30);

/// How long it may take: the first day may have its readings moved from the default partition.
const WITHIN: Duration = Duration::from_secs(600);

/// Does it now and from time to time, until the process stops.
pub(crate) async fn keep(options: store::Options, retention: Retention, metrics: Metrics, life: Life) {
    let options = options.statement_timeout(WITHIN);
    loop {
        match once(&options, retention).await {
            Ok(done) => {
                metrics.upkeep_failing.set(0);
                done.iter().for_each(|what| tracing::info!(what, "upkeep"));
            }
            Err(error) => {
                metrics.upkeep_failing.set(1);
                metrics.upkeep_failures.inc();
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "upkeep failed: no partitions are made and none dropped until it succeeds"
                );
            }
        }
        let pause = if metrics.upkeep_failing.get() == 0 { EVERY } else { AGAIN };
        if life.soft().run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

async fn once(options: &store::Options, retention: Retention) -> store::Result<Vec<String>> {
    let mut leader = Leader::connect(options, "upkeep").await?;
    leader.maintain(retention.readings, retention.replay, DAYS_AHEAD).await
}
