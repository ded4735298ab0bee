//! The metrics of a candidate.

use instruments::{Histogram, IntCounter, IntGauge};

instruments::metrics! {
    /// What a candidate counts.
    pub struct Metrics("rowcast_lease_") {
        /// 1 while this replica leads.
        pub is_leader: IntGauge = "is_leader";
        /// Times that this replica acquired the Lease.
        pub transitions: IntCounter = "transitions_total";
        /// Latency of Lease renewals.
        pub renew: Histogram = "renew_seconds",
            buckets = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0];
        /// Requests for the Lease without a usable answer.
        pub errors: IntCounter = "errors_total";
    }
}
