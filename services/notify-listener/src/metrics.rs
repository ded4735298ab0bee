//! The metrics of the listener.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Opts, Registry};

/// The metrics, registered at zero when the process starts.
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
    pub(crate) notifications: IntCounter,
    /// Losses of Postgres or Redis.
    pub(crate) losses: IntCounter,
    /// Standby checks that found a stalled leader.
    pub(crate) stalls: IntCounter,
    /// Standby checks that Postgres or Redis did not answer.
    pub(crate) failed_checks: IntCounter,
    /// Failed upkeep of partitions and retention.
    pub(crate) upkeep_failures: IntCounter,
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
            notifications: counter("notifications_total", "Notifications from Postgres")?,
            losses: counter("losses_total", "Losses of Postgres or Redis")?,
            stalls: counter("standby_lags_total", "Standby checks that found a stalled leader")?,
            failed_checks: counter(
                "standby_blind_total",
                "Standby checks that Postgres or Redis did not answer",
            )?,
            upkeep_failures: counter("upkeep_failures_total", "Failed upkeep of partitions and retention")?,
        })
    }
}
