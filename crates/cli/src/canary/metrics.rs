//! What the canary counts, by the gateway that it follows.

use instruments::{By, HistogramVec, IntCounter, IntCounterVec};

instruments::labels! {
    /// A step at which a reading of the canary can fail.
    pub(crate) enum Step {
        /// The POST was not answered with 201.
        Post = "post",
        /// No connection to a gateway.
        Connect = "connect",
        /// A connection to a gateway was lost, or its readings may be late.
        Receive = "receive",
    }
}

instruments::metrics! {
    /// What the canary counts.
    pub(crate) struct Metrics("rowcast_canary_") {
        /// Readings that ingest has stored.
        pub(crate) sent: IntCounter = "sent_total";
        /// Failures, by step.
        pub(crate) failures: By<Step, IntCounter> = "failures_total", by = ["step"];
        /// Stored readings that did not arrive in time, by gateway.
        pub(crate) lost: IntCounterVec = "lost_total", by = ["gateway"];
        /// Readings that arrived before one that was sent earlier, or twice, by gateway.
        pub(crate) out_of_order: IntCounterVec = "out_of_order_total", by = ["gateway"];
        /// From a POST's start until its reading arrived, by gateway.
        pub(crate) round_trip: HistogramVec = "round_trip_seconds", by = ["gateway"],
            buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
    }
}

impl Metrics {
    /// The series of these gateways, at zero.
    pub(crate) fn prepare<'a>(&self, gateways: impl Iterator<Item = &'a str>) {
        for gateway in gateways {
            self.lost.with_label_values(&[gateway]);
            self.out_of_order.with_label_values(&[gateway]);
            self.round_trip.with_label_values(&[gateway]);
        }
    }
}
