//! Metrics: the registry every service starts with.

use anyhow::Context;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::accept::limits::Overdue;

/// From half a millisecond (a response from memory) to five seconds (a request that its client gave up on).
const SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// A registry with the process's own metrics and the build's name.
pub(crate) fn registry(name: &str, version: &str) -> anyhow::Result<Registry> {
    let registry = Registry::new();
    let build = IntGaugeVec::new(
        Opts::new("rowcast_build_info", "Always 1, with the running service and version as labels"),
        &["service", "version"],
    )?;
    build.with_label_values(&[name, version]).set(1);
    registry.register(Box::new(build))?;
    registry.register(Box::new(ProcessCollector::for_self()))?;
    Ok(registry)
}

/// What the public port counts.
#[derive(Clone)]
pub struct HttpMetrics {
    /// Time from request head to response head, in seconds
    pub(crate) duration: HistogramVec,
    /// Open public connections, upgraded ones included
    pub(crate) open: IntGauge,
    /// Accepted public connections
    pub(crate) accepted: IntCounter,
    /// Public connections refused at the connection limit
    pub(crate) refused: IntCounter,
    /// Public connections closed because the peer exceeded a deadline, by deadline
    pub(crate) overdue: IntCounterVec,
}

impl HttpMetrics {
    /// # Errors
    /// When the registry has metrics of these names already.
    pub fn register(registry: &Registry) -> anyhow::Result<Self> {
        let metrics = Self {
            duration: HistogramVec::new(
                HistogramOpts::new(
                    "rowcast_http_request_duration_seconds",
                    "Time from request head to response head, in seconds",
                )
                .buckets(SECONDS.to_vec()),
                &["method", "route", "status"],
            )?,
            open: IntGauge::new(
                "rowcast_http_connections_open",
                "Open public connections, upgraded ones included",
            )?,
            accepted: IntCounter::new(
                "rowcast_http_connections_accepted_total",
                "Accepted public connections",
            )?,
            refused: IntCounter::new(
                "rowcast_http_connections_refused_total",
                "Public connections refused at the connection limit",
            )?,
            overdue: IntCounterVec::new(
                Opts::new(
                    "rowcast_http_connections_overdue_total",
                    "Public connections closed because the peer exceeded a deadline, by deadline",
                ),
                &["deadline"],
            )?,
        };
        for deadline in Overdue::ALL {
            metrics.overdue.with_label_values(&[deadline.label()]);
        }
        registry
            .register(Box::new(metrics.overdue.clone()))
            .and_then(|()| registry.register(Box::new(metrics.duration.clone())))
            .and_then(|()| registry.register(Box::new(metrics.open.clone())))
            .and_then(|()| registry.register(Box::new(metrics.accepted.clone())))
            .and_then(|()| registry.register(Box::new(metrics.refused.clone())))
            .context("registering the public port's metrics")?;
        Ok(metrics)
    }
}
