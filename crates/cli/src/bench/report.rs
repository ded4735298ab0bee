//! What `bench` reports: the fields of its JSON, which only ever grow, and their text.

use serde::Serialize;

use super::{
    audience::Heard,
    histogram::{Histogram, Summary},
    ledger::Ledger,
    limit::{Limits, Shares},
    load::{Outcome, Plan, Request, Sent},
    processes::Row,
    slow::Slow,
    verdict::Verdict,
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
    pub(super) ledger: Verdict,
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

/// From the raw records to a report.
pub(super) fn evaluate(plan: &Plan, sent: &Sent, ledger: &Ledger, heard: &[Heard]) -> Report {
    let count =
        |outcome: Outcome| sent.requests.iter().filter(|request| request.outcome == outcome).count() as u64;
    let window = plan.window;
    let stored = sent.requests.iter().filter(|request| request.outcome == Outcome::Stored);
    let timely = stored.clone().filter(|request| window.contains(request.answered)).count() as u64;
    let arrivals = Arrivals::of(plan, sent, ledger, heard);
    let last_answer = stored.map(|request| request.answered).max().unwrap_or_default();
    let (post, lateness) = post_latencies(plan, &sent.requests);
    let per_second = |count: u64| round(count as f64 / window.seconds());
    Report {
        schema: 1,
        posts_per_s: per_second(timely),
        readings_per_s: per_second(timely * plan.readings),
        deliveries_per_s: per_second(arrivals.in_window),
        posts: count(Outcome::Stored),
        readings: ledger.len() as u64,
        deliveries: arrivals.all,
        deliveries_in_window: arrivals.in_window,
        refused: count(Outcome::Refused),
        failed: count(Outcome::Failed),
        unsent: sent.unsent,
        ledger: Verdict::of(ledger, heard),
        drain_ms: arrivals.last.saturating_sub(last_answer) as f64 / 1_000.0,
        latency_ms: Latencies {
            from_201: arrivals.from_201.summary(),
            from_planned: arrivals.from_planned.summary(),
            post,
            lateness,
        },
        ..Report::default()
    }
}

fn post_latencies(plan: &Plan, requests: &[Request]) -> (Summary, Summary) {
    let (mut post, mut lateness) = (Histogram::default(), Histogram::default());
    for request in requests.iter().filter(|request| plan.window.contains(request.planned)) {
        lateness.record(request.sent.saturating_sub(request.planned));
        if request.outcome == Outcome::Stored {
            post.record(request.answered - request.sent);
        }
    }
    (post.summary(), lateness.summary())
}

/// Arrivals of this run's readings.
#[derive(Debug, Default)]
struct Arrivals {
    all: u64,
    in_window: u64,
    last: u64,
    from_201: Histogram,
    from_planned: Histogram,
}

impl Arrivals {
    fn of(plan: &Plan, sent: &Sent, ledger: &Ledger, heard: &[Heard]) -> Self {
        let mut arrivals = Self::default();
        for client in heard {
            let mut from = 0;
            for (to, at) in &client.moments {
                for request in client.ids[from..*to].iter().filter_map(|id| ledger.request(*id)) {
                    arrivals.note(plan, &sent.requests[request as usize], *at);
                }
                from = *to;
            }
        }
        arrivals
    }

    fn note(&mut self, plan: &Plan, request: &Request, at: u64) {
        self.all += 1;
        self.in_window += u64::from(plan.window.contains(at));
        self.last = self.last.max(at);
        if plan.window.contains(request.planned) {
            self.from_201.record(at.saturating_sub(request.answered));
            self.from_planned.record(at.saturating_sub(request.planned));
        }
    }
}

/// To three digits after the point: more is noise.
pub(super) fn round(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

impl Report {
    /// Adds what the machine can do, and what share of it this was.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{
        clock::{Clock, Window},
        ledger::Write,
        load::Pace,
        socket::Address,
    };

    #[test]
    fn latencies_count_from_the_answer_and_from_the_plan_and_only_in_the_window() {
        let plan = Plan {
            ingest: Address::parse("http://h:1").unwrap(),
            pace: Pace::Max,
            connections: 1,
            readings: 1,
            sensors: 1,
            clock: Clock::start(),
            start: 0,
            window: Window { from: 1_000, to: 1_001_000 },
        };
        let request = |planned| Request {
            planned,
            sent: planned + 10,
            answered: planned + 60,
            outcome: Outcome::Stored,
        };
        let refused = Request { outcome: Outcome::Refused, ..request(5_000) };
        let writes = [1, 2].map(|id| Write { id, stream: 0, request: id as u32 - 1 });
        let sent = Sent {
            requests: vec![request(500), request(2_000), refused],
            writes: writes.to_vec(),
            unsent: 0,
        };
        let heard = Heard { ids: vec![1, 2, 99], moments: vec![(1, 900), (3, 2_100)], ..Heard::default() };
        let report = evaluate(&plan, &sent, &Ledger::new(&writes), &[heard]);
        assert_eq!((report.posts, report.refused, report.readings, report.deliveries), (2, 1, 2, 2));
        assert_eq!((report.posts_per_s, report.deliveries_in_window), (1.0, 1));
        let latency = &report.latency_ms;
        assert_eq!((latency.from_201.count, latency.from_201.max), (1, 0.04));
        assert_eq!((latency.from_planned.max, latency.post.max, latency.lateness.max), (0.1, 0.05, 0.01));
        assert_eq!(report.drain_ms, 0.04);
    }
}
