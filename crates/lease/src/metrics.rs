//! The metrics of a candidate.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Registry};

/// The metrics, registered at zero when the process starts.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// 1 while this replica leads.
    pub is_leader: IntGauge,
    /// How often this replica took the Lease.
    pub transitions: IntCounter,
    /// How long renewals take.
    pub renew: Histogram,
    /// Requests for the Lease without a usable answer.
    pub errors: IntCounter,
}

impl Metrics {
    /// Registers them as `rowcast_lease_…`.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            is_leader: IntGauge::new("rowcast_lease_is_leader", "1 while this replica leads")?,
            transitions: IntCounter::new(
                "rowcast_lease_transitions_total",
                "Times that this replica acquired the Lease",
            )?,
            renew: Histogram::with_opts(
                HistogramOpts::new("rowcast_lease_renew_seconds", "Latency of Lease renewals, in seconds")
                    .buckets(vec![0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0]),
            )?,
            errors: IntCounter::new("rowcast_lease_errors_total", "Failed requests for the Lease")?,
        };
        registry.register(Box::new(metrics.is_leader.clone()))?;
        registry.register(Box::new(metrics.transitions.clone()))?;
        registry.register(Box::new(metrics.renew.clone()))?;
        registry.register(Box::new(metrics.errors.clone()))?;
        Ok(metrics)
    }
}
