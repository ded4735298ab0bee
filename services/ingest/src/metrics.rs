//! The metrics of ingest.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// The metrics, registered at zero when the process starts.
#[derive(Clone)]
pub(crate) struct Metrics {
    /// Readings committed.
    pub(crate) readings: IntCounter,
    /// Requests by outcome.
    pub(crate) requests: IntCounterVec,
    /// Readings in each INSERT.
    pub(crate) batch: Histogram,
    /// From an INSERT's start to its commit.
    pub(crate) commit: Histogram,
    /// INSERTs in progress.
    pub(crate) lanes_busy: IntGauge,
}

impl Metrics {
    /// Registers all of them.
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            readings: IntCounter::new("rowcast_ingest_readings_total", "Readings committed")?,
            requests: IntCounterVec::new(
                Opts::new("rowcast_ingest_requests_total", "Requests by outcome"),
                &["outcome"],
            )?,
            batch: Histogram::with_opts(
                HistogramOpts::new("rowcast_ingest_batch_readings", "Readings in each INSERT")
                    .buckets(vec![1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0]),
            )?,
            commit: Histogram::with_opts(
                HistogramOpts::new("rowcast_ingest_commit_seconds", "From an INSERT's start to its commit")
                    .buckets(vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5]),
            )?,
            lanes_busy: IntGauge::new("rowcast_ingest_lanes_busy", "INSERTs in progress")?,
        };
        for outcome in ["stored", "refused_data", "unavailable", "full"] {
            metrics.requests.with_label_values(&[outcome]);
        }
        registry.register(Box::new(metrics.readings.clone()))?;
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.batch.clone()))?;
        registry.register(Box::new(metrics.commit.clone()))?;
        registry.register(Box::new(metrics.lanes_busy.clone()))?;
        Ok(metrics)
    }
}
