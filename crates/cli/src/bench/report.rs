//! What `bench` reports: the fields of its JSON, which only ever grow, and their text.

use serde::Serialize;

use super::{
    faults::Faults,
    histogram::Summary,
    limits::{Limits, Shares},
    processes::Row,
    slow::Slow,
};
use crate::args::BenchRun;

/// The report. Rates are over the measured window; the ledger covers everything, warm-up included.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// The version of these fields.
    pub(super) schema: u32,
    pub(super) options: Options,
    /// POSTs answered with 201 in the window, a second.
    pub(super) posts_per_s: f64,
    /// Their readings.
    pub(super) readings_per_s: f64,
    /// Readings that came to clients in the window, a second, summed over clients.
    pub(super) deliveries_per_s: f64,
    /// POSTs answered with 201, all.
    pub(super) posts: u64,
    pub(super) readings: u64,
    pub(super) deliveries: u64,
    pub(super) deliveries_in_window: u64,
    /// POSTs answered with anything else.
    pub(super) refused: u64,
    /// POSTs without an answer.
    pub(super) failed: u64,
    /// POSTs that were planned, but not sent 10 s after the end.
    pub(super) unsent: u64,
    #[serde(flatten)]
    pub(super) ledger: Faults,
    /// From the last 201 to the last delivery.
    pub(super) drain_ms: f64,
    pub(super) latency_ms: Latencies,
    pub(super) processes: Vec<Row>,
    /// The slow clients beside the measured ones; absent without --slow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) slow: Option<Slow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) limit: Option<Limits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) shares: Option<Shares>,
}

/// Of requests that were planned in the window.
#[derive(Debug, Default, Serialize)]
pub(super) struct Latencies {
    /// From the 201 to each client; zero where the client was first.
    pub(super) from_201: Summary,
    /// From the planned time of the POST to each client.
    pub(super) from_planned: Summary,
    /// From sending the POST to its answer.
    pub(super) post: Summary,
    /// From the planned time to sending: how late the driver itself was, and waiting for a free connection.
    pub(super) lateness: Summary,
}

/// What was asked for.
#[derive(Debug, Default, Serialize)]
pub(super) struct Options {
    pub(super) clients: u32,
    /// Sensors that each client follows; absent where it follows all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) follow: Option<u32>,
    pub(super) connections: u32,
    pub(super) readings_per_post: u32,
    pub(super) sensors: u32,
    /// Planned readings a second; absent with --max.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rate: Option<f64>,
    pub(super) warmup_s: f64,
    pub(super) duration_s: f64,
}

impl Options {
    pub(super) fn of(options: &BenchRun) -> Self {
        let load = &options.load;
        Self {
            clients: options.clients,
            follow: (options.follow > 0).then_some(options.follow),
            connections: load.connections,
            readings_per_post: load.readings,
            sensors: load.sensors,
            rate: (!options.max).then_some(options.rate),
            warmup_s: load.warmup.as_secs_f64(),
            duration_s: load.duration.as_secs_f64(),
        }
    }
}

impl Report {
    /// Adds the limits of the machine, and this run as shares of them.
    pub(super) fn compare(&mut self, limit: Limits) {
        self.shares = Some(limit.shares(self.readings_per_s, self.deliveries_per_s));
        self.limit = Some(limit);
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let Latencies { from_201, from_planned, post, lateness } = &self.latency_ms;
        let ledger = &self.ledger;
        let mut lines = vec![
            format!("posts       {:>12.0} /s", self.posts_per_s),
            format!("readings    {:>12.0} /s", self.readings_per_s),
            format!("deliveries  {:>12.0} /s to {} clients", self.deliveries_per_s, self.options.clients),
            format!(
                "ledger      {} readings: {} lost, {} twice, {} out of order",
                self.readings, ledger.lost, ledger.twice, ledger.out_of_order
            ),
            format!(
                "            {} gaps, {} disconnected, {} foreign arrivals",
                ledger.gaps, ledger.disconnected, ledger.foreign
            ),
            format!(
                "posts       {} refused, {} failed, {} unsent; drained in {:.0} ms",
                self.refused, self.failed, self.unsent, self.drain_ms
            ),
            format!("{:<24}{:>9}{:>9}{:>9}{:>9}", "milliseconds", "p50", "p99", "p99.9", "max"),
        ];
        for (name, summary) in [
            ("201 to client", from_201),
            ("planned to client", from_planned),
            ("POST", post),
            ("driver late", lateness),
        ] {
            let Summary { p50, p99, p99_9, max, .. } = summary;
            lines.push(format!("{name:<24}{p50:>9.2}{p99:>9.2}{p99_9:>9.2}{max:>9.2}"));
        }
        lines.push(format!("{:<24}{:>9}{:>9}{:>9}", "process", "cores", "MiB", "us/deliv"));
        for row in &self.processes {
            let mib = row.rss_bytes as f64 / 1_048_576.0;
            let each = row.cpu_us_per_delivery.unwrap_or_default();
            lines.push(format!("{:<24}{:>9.2}{mib:>9.1}{each:>9.2}", row.name, row.cores));
        }
        lines.extend(self.slow.map(|slow| {
            format!("slow clients {} of {} still connected at the end", slow.connected, slow.clients)
        }));
        lines.extend(ledger.first_end.iter().map(|why| format!("first connection lost: {why}")));
        lines.extend(self.limit.iter().map(Limits::text));
        lines.extend(self.shares.iter().map(Shares::text));
        lines.join("\n")
    }
}
