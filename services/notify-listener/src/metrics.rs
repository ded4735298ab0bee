//! The metrics of the listener.

use chassis::Clock;
use instruments::{By, Histogram, IntCounter, IntGauge, WeightedHistogram};

instruments::labels! {
    /// A part of a reading's way, up to the stream.
    pub(crate) enum Stage {
        /// From its commit to that of its tick.
        CommitToTick = "commit_to_tick",
        /// From its tick's commit until it is sent to the stream.
        TickToStream = "tick_to_stream",
    }
}

instruments::metrics! {
    /// What the listener counts.
    pub(crate) struct Metrics("rowcast_listener_") {
        /// 1 while this replica leads, with or without a Lease.
        pub(crate) leading: IntGauge = "leading";
        /// Readings in ticks that this process has made, or has found missing from the stream.
        pub(crate) ticked_readings: IntCounter = "ticked_readings_total";
        /// Readings appended to the stream, each once.
        pub(crate) readings: IntCounter = "readings_total";
        /// Readings appended to the stream that this process knows it has had before: it was lost.
        pub(crate) repeated_readings: IntCounter = "repeated_readings_total";
        /// The last tick of the log; 0 on a replica that does not lead.
        pub(crate) log_head_tick: IntGauge = "log_head_tick";
        /// The running count of the epoch's readings at the log's end; 0 on a replica that does not lead.
        pub(crate) log_head_readings: IntGauge = "log_head_readings";
        /// The last tick in the stream; 0 on a replica that does not lead.
        pub(crate) stream_head_tick: IntGauge = "stream_head_tick";
        /// The running count of the epoch's readings at the stream's end; 0 on a replica that does not lead.
        pub(crate) stream_head_readings: IntGauge = "stream_head_readings";
        /// Ticks made.
        pub(crate) ticks: IntCounter = "ticks_total";
        /// Readings in ticks that are not in the stream yet.
        pub(crate) backlog_readings: IntGauge = "backlog_readings";
        /// Ticks that are not in the stream yet.
        pub(crate) backlog_ticks: IntGauge = "backlog_ticks";
        /// When the last tick was committed, in seconds since 1970: `time()` minus this is its age.
        pub(crate) last_tick: IntGauge = "last_tick_timestamp_seconds";
        /// From a reading's insert to its append, for the oldest of each append.
        pub(crate) lag: Histogram = "lag_seconds",
            buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
        /// A reading's way up to the stream, by stage; each reading counts. A commit is taken to be as early as can be: when its
        /// oldest reading was inserted, or when the leader last found it missing.
        pub(crate) stages: By<Stage, WeightedHistogram> = "stage_seconds", by = ["stage"],
            buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
        /// Readings whose stage seemed to take less than no time, by more than the clocks may be wrong by measurement. They count as
        /// 0 there.
        pub(crate) negative_ages: By<Stage, IntCounter> = "negative_ages_total", by = ["stage"];
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
        /// When upkeep last succeeded, in seconds since 1970; 0 before the first time.
        pub(crate) upkeep_success: IntGauge = "upkeep_success_timestamp_seconds";
        /// For how many days after this one there is a partition, as of the last upkeep.
        pub(crate) partitions_ahead: IntGauge = "partitions_ahead";
    }
}

impl Metrics {
    /// Readings took so many microseconds for a stage, by this clock.
    pub(crate) fn stage(&self, stage: Stage, micros: i64, clock: &Clock, readings: usize) {
        if clock.is_negative(micros) {
            self.negative_ages.of(stage).inc_by(readings as u64);
        }
        self.stages.of(stage).observe(micros.max(0) as f64 / 1e6, readings as u64);
    }
}
