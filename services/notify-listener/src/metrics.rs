//! The metrics of the listener.

use instruments::{Histogram, IntCounter, IntGauge};

instruments::metrics! {
    /// What the listener counts.
    pub(crate) struct Metrics("rowcast_listener_") {
        /// Readings appended to the stream.
        pub(crate) readings: IntCounter = "readings_total";
        /// Ticks made.
        pub(crate) ticks: IntCounter = "ticks_total";
        /// Readings of the last tick that are not in the stream yet.
        pub(crate) backlog_readings: IntGauge = "backlog_readings";
        /// Ticks that are not in the stream yet.
        pub(crate) backlog_ticks: IntGauge = "backlog_ticks";
        /// When the last tick was committed, in seconds since 1970: `time()` minus this is its age.
        pub(crate) last_tick: IntGauge = "last_tick_timestamp_seconds";
        /// From a reading's insert to its append, for the oldest of each append.
        pub(crate) lag: Histogram = "lag_seconds",
            buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
        /// Ticks and appends refused because another leader was first.
        pub(crate) fenced: IntCounter = "fenced_total";
        /// Notifications from Postgres.
        pub(crate) notifications: IntCounter = "notifications_total";
        /// Losses of Postgres or Redis.
        pub(crate) losses: IntCounter = "losses_total";
        /// Standby checks that found a stalled leader.
        pub(crate) stalls: IntCounter = "standby_lags_total";
        /// Standby checks that Postgres or Redis did not answer.
        pub(crate) failed_checks: IntCounter = "standby_blind_total";
        /// Failed upkeep of partitions and retention.
        pub(crate) upkeep_failures: IntCounter = "upkeep_failures_total";
    }
}

impl Metrics {
    /// Counts readings that an append has put into the stream.
    pub(crate) fn count_appended(&self, readings: usize) {
        self.readings.inc_by(readings as u64);
        let rest = self.backlog_readings.get() - i64::try_from(readings).unwrap_or(i64::MAX);
        self.backlog_readings.set(rest.max(0));
    }

    /// Sets the number of ticks that are not in the stream yet; without any, no reading is missing from it.
    pub(crate) fn set_backlog(&self, ticks: i64) {
        self.backlog_ticks.set(ticks);
        if ticks == 0 {
            self.backlog_readings.set(0);
        }
    }
}
