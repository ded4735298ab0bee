//! What the gateway counts.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use time::OffsetDateTime;
use wire::Close;

/// All of it, registered at zero when the process starts.
#[derive(Clone)]
pub(crate) struct Metrics {
    /// Open sockets and event streams.
    pub(crate) sessions: IntGauge,
    /// Whether the gateway is draining.
    pub(crate) draining: IntGauge,
    /// Whether clients are told that readings may be late.
    pub(crate) stale: IntGauge,
    /// Sockets that ended, by the reason of their close.
    pub(crate) closes: IntCounterVec,
    /// Readings received from the stream.
    pub(crate) readings: IntCounter,
    /// Readings delivered to subscriptions, once for each.
    pub(crate) deliveries: IntCounter,
    /// From a tick's commit to its publication here.
    pub(crate) age: Histogram,
    /// Gaps of the stream that were filled from Postgres.
    pub(crate) gaps: IntCounter,
    /// Times that the feed was lost.
    pub(crate) feed_losses: IntCounter,
    /// Reads of Postgres for sessions.
    pub(crate) replay_reads: IntCounter,
    /// Reads of Postgres for history.
    pub(crate) history_reads: IntCounter,
    /// Times that a session could not keep up and went on from the log.
    pub(crate) fell_behind: IntCounter,
}

impl Metrics {
    /// Registers all of it.
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(format!("rowcast_gateway_{name}"), help)?;
            registry.register(Box::new(counter.clone()))?;
            prometheus::Result::Ok(counter)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(format!("rowcast_gateway_{name}"), help)?;
            registry.register(Box::new(gauge.clone()))?;
            prometheus::Result::Ok(gauge)
        };
        let closes = IntCounterVec::new(
            Opts::new("rowcast_gateway_closes_total", "Closed sockets and event streams by reason"),
            &["reason"],
        )?;
        for close in Close::ALL {
            closes.with_label_values(&[close.reason()]);
        }
        closes.with_label_values(&["lost"]);
        registry.register(Box::new(closes.clone()))?;
        let age = Histogram::with_opts(
            HistogramOpts::new("rowcast_gateway_age_seconds", "From a tick's commit to its publication here")
                .buckets(vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0]),
        )?;
        registry.register(Box::new(age.clone()))?;
        Ok(Self {
            sessions: gauge("sessions", "Open sockets and event streams")?,
            draining: gauge("draining", "1 while draining")?,
            stale: gauge("stale", "1 while no leader is active and readings may be late")?,
            closes,
            readings: counter("readings_total", "Readings received from the stream")?,
            deliveries: counter("deliveries_total", "Readings delivered to subscriptions, once for each")?,
            age,
            gaps: counter("stream_gaps_total", "Gaps in the stream that were filled from Postgres")?,
            feed_losses: counter("feed_losses_total", "Losses of the stream")?,
            replay_reads: counter("replay_reads_total", "Reads of Postgres for replay and snapshots")?,
            history_reads: counter("history_reads_total", "Reads of Postgres for history")?,
            fell_behind: counter("fell_behind_total", "Sessions that fell behind and read on from the log")?,
        })
    }

    pub(crate) fn observe_age(&self, at_micros: i64) {
        let now = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000;
        self.age.observe((now - i128::from(at_micros)).max(0) as f64 / 1e6);
    }
}
