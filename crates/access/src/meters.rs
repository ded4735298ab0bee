//! How often: the buckets of those whose grants have rates. Each process has its own.

use std::{
    collections::HashMap,
    sync::LazyLock,
    time::{Duration, Instant},
};

use auth::{Gcra, Grant, Limits, Rate, Remaining, RetryAfter, Subject};
use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;

/// What may be had (draft-ietf-httpapi-ratelimit-headers).
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What is left of it.
const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// The buckets by their subjects.
pub(crate) struct Meters {
    buckets: Mutex<HashMap<Subject, Buckets>>,
    /// The start of the clock of all buckets.
    began: Instant,
}

#[derive(Debug, Clone, Copy, Default)]
struct Buckets {
    requests: Gcra,
    readings: Gcra,
    tickets: Gcra,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Requests,
    Readings,
    Tickets,
}

/// How many tickets a second a subject gets: enough for a server that asks on behalf of its visitors. Those that are not used yet
/// take memory of Redis.
static TICKETS: LazyLock<Option<Rate>> = LazyLock::new(|| Rate::new(20.0, 200).ok());

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Readings => "readings",
            Self::Tickets => "tickets",
        }
    }

    fn rate(self, limits: &Limits) -> Option<Rate> {
        match self {
            Self::Requests => limits.requests,
            Self::Readings => limits.readings,
            Self::Tickets => *TICKETS,
        }
    }
}

impl Buckets {
    fn of(&mut self, unit: Unit) -> &mut Gcra {
        match unit {
            Unit::Requests => &mut self.requests,
            Unit::Readings => &mut self.readings,
            Unit::Tickets => &mut self.tickets,
        }
    }
}

/// Whether anything of a grant is counted.
pub(crate) fn is_metered(grant: &Grant) -> bool {
    grant.limits.requests.is_some() || grant.limits.readings.is_some()
}

impl Meters {
    pub(crate) fn new() -> Self {
        Self { buckets: Mutex::default(), began: Instant::now() }
    }

    /// Takes so many, if the grant has a rate for them.
    pub(crate) fn take(&self, grant: &Grant, unit: Unit, cost: usize) -> Result<(), RetryAfter> {
        let Some(rate) = unit.rate(&grant.limits) else { return Ok(()) };
        let cost = u32::try_from(cost).map_err(|_| RetryAfter::Never)?;
        let now = self.began.elapsed();
        let mut buckets = self.buckets.lock();
        let bucket = buckets.entry(grant.subject.clone()).or_default().of(unit);
        bucket.check(rate, cost, now).map(|_| ())
    }

    /// Writes what may be had and what is left.
    pub(crate) fn write(&self, grant: &Grant, headers: &mut HeaderMap) {
        let (mut policy, mut left) = (Vec::new(), Vec::new());
        for unit in [Unit::Requests, Unit::Readings] {
            let Some(rate) = unit.rate(&grant.limits) else { continue };
            let Remaining { cost, full_in } = self.left(grant, unit, rate);
            let (name, burst, window) = (unit.name(), rate.burst(), seconds(window(rate)));
            policy.push(format!(r#""{name}";q={burst};w={window}"#));
            left.push(format!(r#""{name}";r={cost};t={}"#, seconds(full_in)));
        }
        for (name, items) in [(POLICY, policy), (LEFT, left)] {
            if let Ok(value) = HeaderValue::try_from(items.join(", ")) {
                headers.insert(name, value);
            }
        }
    }

    fn left(&self, grant: &Grant, unit: Unit, rate: Rate) -> Remaining {
        let mut buckets = self.buckets.lock().get(&grant.subject).copied().unwrap_or_default();
        let full = Remaining { cost: 0, full_in: window(rate) };
        // a rate that was lowered meanwhile has nothing left
        buckets.of(unit).check(rate, 0, self.began.elapsed()).unwrap_or(full)
    }

    /// Forgets full buckets, which are like new ones.
    pub(crate) fn purge(&self) {
        let now = self.began.elapsed();
        let is_full = |buckets: &Buckets| {
            [buckets.requests, buckets.readings, buckets.tickets].iter().all(|bucket| bucket.is_full(now))
        };
        self.buckets.lock().retain(|_, buckets| !is_full(buckets));
    }
}

/// The time in which an empty bucket fills.
fn window(rate: Rate) -> Duration {
    Duration::from_secs_f64(f64::from(rate.burst()) / rate.per_second())
}

/// Whole seconds, never too few: who waits so long is admitted.
pub(crate) fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use auth::Scope;

    use super::*;

    fn grant(id: &str, limits: Limits) -> Grant {
        let subject = Subject::Key(id.parse().unwrap());
        Grant { subject, write: Scope::all(), read: Scope::none(), limits, expires_at: None }
    }

    #[test]
    fn each_subject_has_its_own_buckets_and_full_ones_are_forgotten() {
        let limits = Limits { readings: Some(Rate::new(0.001, 10).unwrap()), ..Limits::default() };
        let (meters, one, other) =
            (Meters::new(), grant("000000000001", limits), grant("000000000002", limits));
        assert_eq!(meters.take(&one, Unit::Requests, 1_000), Ok(()), "no rate");
        assert_eq!(meters.take(&one, Unit::Readings, 11), Err(RetryAfter::Never));
        assert_eq!(meters.take(&one, Unit::Readings, 10), Ok(()));
        assert!(matches!(meters.take(&one, Unit::Readings, 1), Err(RetryAfter::Wait(_))));
        assert_eq!(meters.take(&other, Unit::Readings, 10), Ok(()));
        let quick = Limits { requests: Some(Rate::new(1e6, 1).unwrap()), ..Limits::default() };
        assert_eq!(meters.take(&grant("000000000003", quick), Unit::Requests, 1), Ok(()));
        std::thread::yield_now();
        while meters.buckets.lock().len() > 2 {
            meters.purge();
        }
    }

    #[test]
    fn the_fields_tell_what_may_be_had_and_what_is_left() {
        let limits = Limits {
            requests: Some(Rate::new(0.001, 5).unwrap()),
            readings: Some(Rate::new(0.01, 100).unwrap()),
            ..Limits::default()
        };
        let (meters, grant, mut headers) = (Meters::new(), grant("000000000001", limits), HeaderMap::new());
        meters.take(&grant, Unit::Readings, 30).unwrap();
        meters.write(&grant, &mut headers);
        assert_eq!(headers[POLICY], r#""requests";q=5;w=5000, "readings";q=100;w=10000"#);
        assert_eq!(headers[LEFT], r#""requests";r=5;t=0, "readings";r=70;t=3000"#);
    }
}
