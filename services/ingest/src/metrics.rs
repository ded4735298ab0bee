//! The metrics of ingest.

use instruments::{By, Histogram, IntCounter, IntGauge};

instruments::labels! {
    /// How a request of valid readings ended.
    pub(crate) enum Outcome {
        /// Committed.
        Stored = "stored",
        /// Postgres refused the readings.
        RefusedData = "refused_data",
        /// Postgres could not be reached in time.
        Unavailable = "unavailable",
        /// The queue was full.
        Full = "full",
        /// Stored before: the answer was given again.
        Replayed = "replayed",
        /// Its key belongs to a request that is being stored, or was another's.
        RefusedKey = "refused_key",
    }
}

instruments::metrics! {
    /// What ingest counts.
    pub(crate) struct Metrics("rowcast_ingest_") {
        /// Readings committed.
        pub(crate) readings: IntCounter = "readings_total";
        /// Readings that were known by their key, and answered as they were stored first.
        pub(crate) repeated: IntCounter = "repeated_readings_total";
        /// Requests of valid readings, by how they ended.
        pub(crate) requests: By<Outcome, IntCounter> = "requests_total", by = ["outcome"];
        /// Readings in each INSERT.
        pub(crate) batch: Histogram = "batch_readings",
            buckets = [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0];
        /// From an INSERT's start to its commit.
        pub(crate) commit: Histogram = "commit_seconds",
            buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];
        /// The bytes of readings that wait for the database or are in an INSERT.
        pub(crate) queue: IntGauge = "queue_bytes";
        /// The most of them; a request that exceeds it is refused.
        pub(crate) queue_limit: IntGauge = "queue_limit_bytes";
        /// The most INSERTs at a time.
        pub(crate) lanes: IntGauge = "lanes";
        /// INSERTs in progress.
        pub(crate) lanes_busy: IntGauge = "lanes_busy";
    }
}
