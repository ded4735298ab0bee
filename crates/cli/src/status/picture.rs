//! What two scrapes of each service say of the whole: who leads, how far everything is, how fresh, and what is wrong.

use serde::Serialize;

use super::scrape::{Buckets, Scrape};
use crate::admin::Report;

/// A clock that differs by more from that of Postgres is a problem: ages are wrong. That of the alert.
const CLOCK_LIMIT: f64 = 0.5;

/// One service, as it was seen.
#[derive(Debug)]
pub(super) struct Seen {
    /// Where it is.
    pub(super) place: String,
    /// Its conditions and metrics, or why there are none.
    pub(super) state: Result<State, String>,
}

/// What a service says of itself.
#[derive(Debug)]
pub(super) struct State {
    pub(super) report: Report,
    pub(super) before: Scrape,
    pub(super) now: Scrape,
    /// Between both, in seconds.
    pub(super) seconds: f64,
}

/// The whole.
#[derive(Debug, Default, Serialize)]
pub(super) struct Picture {
    pub(super) services: Vec<Service>,
    /// The leaders' places: one, where all is well.
    pub(super) leaders: Vec<String>,
    /// The running count of readings that the log has; none if no leader was asked.
    pub(super) log_readings: Option<u64>,
    /// Of those, the ones that are not in the stream.
    pub(super) backlog_readings: Option<u64>,
    /// Readings stored a second.
    pub(super) stored_per_second: f64,
    /// Events written to clients a second.
    pub(super) events_per_second: f64,
    /// From commit to socket, of the events since the first scrape, or of all if there were none.
    pub(super) freshness: Freshness,
    pub(super) audit: Audit,
    /// What is wrong; empty: nothing that these services know of.
    pub(super) problems: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Service {
    pub(super) place: String,
    pub(super) service: String,
    pub(super) version: String,
    pub(super) ready: bool,
    /// In its own words.
    pub(super) summary: String,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Freshness {
    pub(super) events: u64,
    pub(super) p50_seconds: Option<f64>,
    pub(super) p99_seconds: Option<f64>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Audit {
    pub(super) checked_readings: u64,
    pub(super) mismatches: u64,
}

impl State {
    /// A counter's growth a second; one that is smaller than before has begun anew.
    fn rate(&self, counter: &str) -> f64 {
        let (before, now) = (self.before.sum(counter), self.now.sum(counter));
        (if now < before { now } else { now - before }) / self.seconds
    }

    fn name(&self) -> &str {
        self.now.label("rowcast_build_info", "service").unwrap_or("unknown")
    }
}

impl Picture {
    pub(super) fn of(seen: &[Seen]) -> Self {
        let mut picture = Self::default();
        let known = || seen.iter().filter_map(|seen| Some((seen.place.as_str(), seen.state.as_ref().ok()?)));
        let leader = known().find(|(_, state)| state.now.sum("rowcast_listener_leading") > 0.0);
        picture.log_readings =
            leader.map(|(_, leader)| leader.now.sum("rowcast_listener_log_head_readings") as u64);
        picture.backlog_readings =
            leader.map(|(_, leader)| leader.now.sum("rowcast_listener_backlog_readings") as u64);
        for seen in seen {
            match &seen.state {
                Ok(state) => picture.add(&seen.place, state),
                Err(why) => picture.problems.push(format!("{}: {why}", seen.place)),
            }
        }
        picture.freshness = freshness(known().map(|(_, state)| state));
        picture.check_leaders(known().any(|(_, state)| state.name() == "notify-listener"));
        picture
    }

    fn add(&mut self, place: &str, state: &State) {
        self.stored_per_second += state.rate("rowcast_ingest_readings_total");
        self.events_per_second += state.rate("rowcast_gateway_events_written_total");
        self.audit.checked_readings += state.now.sum("rowcast_gateway_audit_checked_total") as u64;
        self.audit.mismatches += state.now.sum("rowcast_gateway_audit_mismatch_total") as u64;
        if state.now.sum("rowcast_listener_leading") > 0.0 {
            self.leaders.push(place.to_owned());
        }
        self.services.push(Service {
            place: place.to_owned(),
            service: state.name().to_owned(),
            version: state.now.label("rowcast_build_info", "version").unwrap_or_default().to_owned(),
            ready: state.report.ready,
            summary: self.summary(state),
        });
        self.problems.extend(problems(state).into_iter().map(|problem| format!("{place}: {problem}")));
    }

    fn summary(&self, state: &State) -> String {
        let now = |metric: &str| state.now.sum(metric);
        match state.name() {
            "ingest" => {
                let (queue, limit) =
                    (now("rowcast_ingest_queue_bytes"), now("rowcast_ingest_queue_limit_bytes"));
                let used = 100.0 * queue / limit.max(1.0);
                format!("{:.1} readings/s, queue {used:.0} %", state.rate("rowcast_ingest_readings_total"))
            }
            "notify-listener" if now("rowcast_listener_leading") > 0.0 => {
                let (tick, log) =
                    (now("rowcast_listener_log_head_tick"), now("rowcast_listener_log_head_readings"));
                let backlog = now("rowcast_listener_backlog_readings");
                format!("leads; tick {tick}, {log} readings, {backlog} not in the stream")
            }
            "notify-listener" => "standby".to_owned(),
            "ws-gateway" => {
                let head = now("rowcast_gateway_head_readings");
                let (sessions, behind) =
                    (now("rowcast_gateway_sessions"), now("rowcast_gateway_behind_sessions"));
                let missing = self.log_readings.map(|log| (log as f64 - head).max(0.0));
                let missing =
                    missing.map(|missing| format!(", {missing} readings to take")).unwrap_or_default();
                let events = state.rate("rowcast_gateway_events_written_total");
                format!("{sessions} sessions, {behind} behind, {events:.1} events/s{missing}")
            }
            _ => String::new(),
        }
    }

    fn check_leaders(&mut self, asked_listeners: bool) {
        match &self.leaders[..] {
            [] if asked_listeners => self.problems.push("no notify-listener leads".to_owned()),
            [] | [_] => {}
            several => self.problems.push(format!("several notify-listeners lead: {}", several.join(", "))),
        }
    }
}

fn problems(state: &State) -> Vec<String> {
    let conditions = state.report.failing.iter().chain(&state.report.degraded);
    let mut problems: Vec<String> =
        conditions.map(|(condition, why)| format!("{condition}: {why}")).collect();
    if !state.report.ready && problems.is_empty() {
        problems.push("not ready".to_owned());
    }
    let mismatches = state.now.sum("rowcast_gateway_audit_mismatch_total");
    if mismatches > 0.0 {
        problems.push(format!("{mismatches} times the stream lacked readings that the log counts"));
    }
    if state.now.sum("rowcast_gateway_stale") > 0.0 {
        problems.push("no contact with the leader: readings may be late".to_owned());
    }
    let offset = state.now.sum("rowcast_clock_offset_seconds");
    if offset.abs() > CLOCK_LIMIT {
        problems.push(format!("the clock differs by {offset:.3} s from that of Postgres"));
    }
    problems
}

fn freshness<'a>(states: impl Iterator<Item = &'a State>) -> Freshness {
    const METRIC: &str = "rowcast_gateway_event_age_seconds";
    let (mut recent, mut all) = (Buckets::default(), Buckets::default());
    for state in states {
        let now = state.now.buckets(METRIC);
        recent = recent.plus(now.clone().since(&state.before.buckets(METRIC)));
        all = all.plus(now);
    }
    let events = if recent.count() > 0.0 { recent } else { all };
    Freshness {
        events: events.count() as u64,
        p50_seconds: events.quantile(0.5),
        p99_seconds: events.quantile(0.99),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn seen(place: &str, before: &str, now: &str) -> Seen {
        let report = Report { ready: true, failing: BTreeMap::new(), degraded: BTreeMap::new() };
        let (before, now) = (Scrape::parse(before), Scrape::parse(now));
        Seen { place: place.to_owned(), state: Ok(State { report, before, now, seconds: 2.0 }) }
    }

    const LEADER: &str = "rowcast_build_info{service=\"notify-listener\",version=\"1\"} 1\nrowcast_listener_leading 1\n\
        rowcast_listener_log_head_readings 50\nrowcast_listener_backlog_readings 4";
    const STANDBY: &str =
        "rowcast_build_info{service=\"notify-listener\",version=\"1\"} 1\nrowcast_listener_leading 0";
    const GATEWAY: &str = "rowcast_build_info{service=\"ws-gateway\",version=\"1\"} 1\nrowcast_gateway_head_readings 46\n\
        rowcast_gateway_events_written_total 10\nrowcast_gateway_audit_checked_total 46";

    #[test]
    fn a_healthy_installation_has_no_problem() {
        let after = GATEWAY.replace("written_total 10", "written_total 30");
        let all = [seen("a", LEADER, LEADER), seen("b", STANDBY, STANDBY), seen("c", GATEWAY, &after)];
        let picture = Picture::of(&all);
        assert_eq!(picture.problems, [""; 0]);
        assert_eq!((picture.log_readings, picture.backlog_readings), (Some(50), Some(4)));
        assert_eq!((picture.events_per_second, picture.audit.checked_readings), (10.0, 46));
        assert!(picture.services[2].summary.ends_with("4 readings to take"), "{:?}", picture.services);
        assert_eq!(picture.leaders, ["a"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let problem = |seen: &[Seen], expected: &str| {
            let picture = Picture::of(seen);
            assert!(
                picture.problems.iter().any(|problem| problem.contains(expected)),
                "{:?}",
                picture.problems
            );
        };
        problem(&[seen("b", STANDBY, STANDBY)], "no notify-listener leads");
        problem(
            &[seen("a", LEADER, LEADER), seen("b", LEADER, LEADER)],
            "several notify-listeners lead: a, b",
        );
        let mismatch = format!("{GATEWAY}\nrowcast_gateway_audit_mismatch_total 2");
        problem(&[seen("c", &mismatch, &mismatch)], "c: 2 times the stream lacked readings");
        let clock = format!("{GATEWAY}\nrowcast_clock_offset_seconds -3.5");
        problem(&[seen("c", &clock, &clock)], "differs by -3.500 s");
        problem(&[Seen { place: "d".to_owned(), state: Err("refused".to_owned()) }], "d: refused");
        assert!(Picture::of(&[seen("c", GATEWAY, GATEWAY)]).problems.is_empty(), "no listener was asked");
    }
}
