//! Partitions ahead of time, and an end to what is past its retention.

use std::time::Duration;

use chassis::Life;
use store::Leader;

use crate::config::Retention;

/// Partitions are made for this many days ahead: a weekend without a leader finds them there.
const DAYS_AHEAD: i32 = 3;

/// How often there is upkeep.
const EVERY: Duration = Duration::from_secs(600);

/// Does it now and from time to time, until the process stops.
pub(crate) async fn keep(options: store::Options, retention: Retention, life: Life) {
    loop {
        match once(&options, retention).await {
            Ok(done) => done.iter().for_each(|what| tracing::info!(what, "upkeep")),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "upkeep failed, will try again")
            }
        }
        if life.soft().run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}

async fn once(options: &store::Options, retention: Retention) -> store::Result<Vec<String>> {
    let mut leader = Leader::connect(options, "upkeep").await?;
    leader.maintain(retention.readings, retention.replay, DAYS_AHEAD).await
}
