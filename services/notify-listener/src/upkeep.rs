//! Upkeep: makes partitions ahead of time, and deletes what is past its retention.

use std::time::Duration;

use chassis::{Condition, Fault, Life, Outage};
use instruments::{IntCounter, IntGauge};
use store::{Leader, Upkeep};
use time::OffsetDateTime;

use crate::config::Retention;

/// Partitions are made for this many days ahead: a weekend without a leader finds them there.
const DAYS_AHEAD: i32 = 3;

/// Between two runs.
const EVERY: Duration = Duration::from_secs(600);

/// Pause after a failure.
const AGAIN: Duration = Duration::from_secs(10);

/// How long it may take: the first day may have its readings moved from the default partition.
const WITHIN: Duration = Duration::from_secs(600);

/// Where the result of upkeep is reported.
pub(crate) struct Report {
    /// Fails while no partitions are made and none dropped.
    pub(crate) condition: Condition,
    /// How often it failed.
    pub(crate) failures: IntCounter,
    /// When it last succeeded, in seconds since 1970.
    pub(crate) succeeded_at: IntGauge,
    /// For how many days after this one there is a partition.
    pub(crate) partitions_ahead: IntGauge,
}

/// Runs now and from time to time, until the process stops. Another replica would fail too, so a failure leaves this one
/// ready.
pub(crate) async fn keep(options: store::Options, retention: Retention, report: Report, life: Life) {
    let options = options.statement_timeout(WITHIN);
    let mut outage = Outage::new("upkeep");
    report.condition.hold();
    loop {
        let pause = match once(&options, retention).await {
            Ok(done) => {
                outage.ends();
                report.condition.hold();
                report.succeeded_at.set(OffsetDateTime::now_utc().unix_timestamp());
                report.partitions_ahead.set(done.days_ahead);
                done.actions.iter().for_each(|what| tracing::info!(what, "upkeep"));
                EVERY
            }
            Err(error) => {
                report.failures.inc();
                report.condition.fail(Fault::Shared(outage.fails(&error)));
                AGAIN
            }
        };
        if life.soft().run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

async fn once(options: &store::Options, retention: Retention) -> store::Result<Upkeep> {
    let mut leader = Leader::connect(options, "upkeep").await?;
    leader.maintain(retention.readings, retention.replay, DAYS_AHEAD).await
}
