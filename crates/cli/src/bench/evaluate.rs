//! From the records of a run to its report.

use super::{
    audience::Received,
    faults::Faults,
    histogram::{Histogram, Summary},
    ledger::Ledger,
    load::{Outcome, Plan, Request, Sent},
    report::{Latencies, Report},
    round::round,
};

/// Adds them up.
pub(super) fn evaluate(plan: &Plan, sent: &Sent, ledger: &Ledger, received: &[Received]) -> Report {
    let count =
        |outcome: Outcome| sent.requests.iter().filter(|request| request.outcome == outcome).count() as u64;
    let window = plan.window;
    let stored = sent.requests.iter().filter(|request| request.outcome == Outcome::Stored);
    let timely = stored.clone().filter(|request| window.contains(request.answered)).count() as u64;
    let arrivals = Arrivals::of(plan, sent, ledger, received);
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
        ledger: Faults::of(ledger, received),
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
    fn of(plan: &Plan, sent: &Sent, ledger: &Ledger, received: &[Received]) -> Self {
        let mut arrivals = Self::default();
        for client in received {
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
            keys: None,
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
        let received =
            Received { ids: vec![1, 2, 99], moments: vec![(1, 900), (3, 2_100)], ..Received::default() };
        let report = evaluate(&plan, &sent, &Ledger::new(&writes), &[received]);
        assert_eq!((report.posts, report.refused, report.readings, report.deliveries), (2, 1, 2, 2));
        assert_eq!((report.posts_per_s, report.deliveries_in_window), (1.0, 1));
        let latency = &report.latency_ms;
        assert_eq!((latency.from_201.count, latency.from_201.max), (1, 0.04));
        assert_eq!((latency.from_planned.max, latency.post.max, latency.lateness.max), (0.1, 0.05, 0.01));
        assert_eq!(report.drain_ms, 0.04);
    }
}
