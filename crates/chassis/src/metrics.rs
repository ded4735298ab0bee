//! Metrics: the registry every service starts with.

use instruments::{By, HistogramVec, IntCounter, IntGauge, IntGaugeVec, Registry};
use prometheus::process_collector::ProcessCollector;

use crate::accept::entry::Rejected;
use crate::accept::limits::Overdue;

/// From half a millisecond (a response from memory) to five seconds (a request that its client gave up on).
const SECONDS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

instruments::metrics! {
    /// What every process has.
    pub(crate) struct ProcessMetrics("rowcast_") {
        /// Always 1, with the running service, its release and its commit as labels.
        build: IntGaugeVec = "build_info", by = ["service", "version", "revision"];
        /// Panics in tasks.
        pub(crate) panics: IntCounter = "panics_total";
    }
}

impl ProcessMetrics {
    pub(crate) fn name_build(&self, name: &str, version: &str, commit: Option<&str>) {
        self.build.with_label_values(&[name, version, commit.unwrap_or("unknown")]).set(1);
    }
}

/// A registry with the metrics that the kernel keeps of the process.
pub(crate) fn registry() -> instruments::Result<Registry> {
    let registry = Registry::new();
    registry.register(Box::new(ProcessCollector::for_self()))?;
    Ok(registry)
}

instruments::metrics! {
    /// What the public port counts.
    pub(crate) struct HttpMetrics("rowcast_http_") {
        /// From request head to response head.
        pub(crate) duration: HistogramVec = "request_duration_seconds",
            by = ["method", "route", "status"], buckets = SECONDS;
        /// Open public connections, upgraded ones included.
        pub(crate) open: IntGauge = "connections_open";
        /// The most public connections at a time.
        pub(crate) limit: IntGauge = "connections_limit";
        /// Accepted public connections.
        pub(crate) accepted: IntCounter = "connections_accepted_total";
        /// Public connections refused at the connection limit.
        pub(crate) refused: IntCounter = "connections_refused_total";
        /// When the certificate of the public port expires, or one of its chain, in seconds since 1970; 0 without TLS.
        pub(crate) certificate_expiry: IntGauge = "certificate_expiry_timestamp_seconds";
        /// Public connections closed before they could speak HTTP, by reason.
        pub(crate) rejected: By<Rejected, IntCounter> = "connections_rejected_total", by = ["reason"];
        /// Public connections closed because the peer exceeded a deadline, by deadline.
        pub(crate) overdue: By<Overdue, IntCounter> = "connections_overdue_total", by = ["deadline"];
    }
}
