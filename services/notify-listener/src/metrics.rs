//! What the listener counts.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Opts, Registry};

/// All of it, registered at zero when the process starts.
#[derive(Clone)]
pub(crate) struct Metrics {
    /// Readings appended to the stream.
    pub(crate) readings: IntCounter,
    /// Ticks made.
    pub(crate) ticks: IntCounter,
    /// Readings of the last tick that are not in the stream yet.
    pub(crate) backlog_readings: IntGauge,
    /// Ticks that are not in the stream yet.
    pub(crate) backlog_ticks: IntGauge,
    /// When the last tick was committed, in seconds since 1970: `time() - this` is its age.
    pub(crate) last_tick: IntGauge,
    /// From a reading's insert to its append, for the oldest of each append.
    pub(crate) lag: Histogram,
    /// Appends and ticks that were refused because another leader was there first.
    pub(crate) fenced: IntCounter,
    /// Notifications from Postgres.
    pub(crate) bells: IntCounter,
    /// Times that Postgres or Redis was lost.
    pub(crate) losses: IntCounter,
    /// Looks of this replica as a standby at a leader whose work was not done.
    pub(crate) lags: IntCounter,
    /// Looks of this replica as a standby that Postgres or Redis did not answer.
    pub(crate) blind: IntCounter,
    /// Upkeep of partitions and retention that failed.
    pub(crate) upkeep_failures: IntCounter,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(format!("rowcast_listener_{name}"), help)?;
            registry.register(Box::new(counter.clone()))?;
            prometheus::Result::Ok(counter)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::with_opts(Opts::new(format!("rowcast_listener_{name}"), help))?;
            registry.register(Box::new(gauge.clone()))?;
            prometheus::Result::Ok(gauge)
        };
        let lag = Histogram::with_opts(
            HistogramOpts::new(
                "rowcast_listener_lag_seconds",
                "From a reading's insert to its append, for the oldest of each append",
            )
            .buckets(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0]),
        )?;
        registry.register(Box::new(lag.clone()))?;
        Ok(Self {
            readings: counter("readings_total", "Readings appended to the stream")?,
            ticks: counter("ticks_total", "Ticks made")?,
            backlog_readings: gauge(
                "backlog_readings",
                "Readings of the last tick that are not in the stream yet",
            )?,
            backlog_ticks: gauge("backlog_ticks", "Ticks that are not in the stream yet")?,
            last_tick: gauge("last_tick_timestamp_seconds", "When the last tick was committed, since 1970")?,
            lag,
            fenced: counter("fenced_total", "Ticks and appends refused because another leader was first")?,
            bells: counter("notifications_total", "Notifications from Postgres")?,
            losses: counter("losses_total", "Times that Postgres or Redis was lost")?,
            lags: counter("standby_lags_total", "Looks of this standby at a leader whose work was not done")?,
            blind: counter(
                "standby_blind_total",
                "Looks of this standby that Postgres or Redis did not answer",
            )?,
            upkeep_failures: counter(
                "upkeep_failures_total",
                "Upkeep of partitions and retention that failed",
            )?,
        })
    }
}
