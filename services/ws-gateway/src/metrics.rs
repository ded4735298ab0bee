//! What the gateway counts.

use instruments::{By, Histogram, IntCounter, IntGauge, Label};
use time::OffsetDateTime;
use wire::Close;

/// The end of a connection: the reason of its close, or `lost`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended(pub(crate) Option<Close>);

impl Ended {
    /// The label.
    pub(crate) fn reason(self) -> &'static str {
        self.0.map_or("lost", Close::reason)
    }
}

impl Label for Ended {
    fn all() -> impl Iterator<Item = Self> {
        Close::ALL.iter().copied().map(Some).chain([None]).map(Self)
    }

    fn label(self) -> &'static str {
        self.reason()
    }

    fn index(self) -> usize {
        self.0.map_or(Close::ALL.len(), |close| close as usize)
    }
}

instruments::metrics! {
    /// What the gateway counts.
    pub(crate) struct Metrics("rowcast_gateway_") {
        /// Open sockets and event streams.
        pub(crate) sessions: IntGauge = "sessions";
        /// Live subscriptions and waiting polls.
        pub(crate) subscriptions: IntGauge = "subscriptions";
        /// 1 while draining.
        pub(crate) draining: IntGauge = "draining";
        /// 1 while no leader is active and readings may be late.
        pub(crate) stale: IntGauge = "stale";
        /// Closed sockets and event streams, by the reason of the close code, or `lost`.
        pub(crate) closes: By<Ended, IntCounter> = "closes_total", by = ["reason"];
        /// Readings received from the stream.
        pub(crate) readings: IntCounter = "readings_total";
        /// Readings delivered to subscriptions, once for each.
        pub(crate) deliveries: IntCounter = "deliveries_total";
        /// From a tick's commit to its publication here.
        pub(crate) age: Histogram = "age_seconds",
            buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];
        /// Gaps in the stream that were filled from Postgres.
        pub(crate) gaps: IntCounter = "stream_gaps_total";
        /// Losses of the stream.
        pub(crate) feed_losses: IntCounter = "feed_losses_total";
        /// Reads of Postgres for replay and snapshots.
        pub(crate) replay_reads: IntCounter = "replay_reads_total";
        /// Reads of Postgres for history.
        pub(crate) history_reads: IntCounter = "history_reads_total";
        /// Sessions that fell behind and read on from the log.
        pub(crate) fell_behind: IntCounter = "fell_behind_total";
    }
}

impl Metrics {
    pub(crate) fn observe_age(&self, at_micros: i64) {
        let now = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000;
        self.age.observe((now - i128::from(at_micros)).max(0) as f64 / 1e6);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_is_at_its_index() {
        for (index, end) in Ended::all().enumerate() {
            assert_eq!(end.index(), index, "{}", end.label());
        }
    }
}
