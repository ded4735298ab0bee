//! How often: the buckets of all who are counted. Each process has its own.

use std::time::{Duration, Instant};

use auth::{Rate, Remaining, RetryAfter};
use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;

use crate::{
    bounds::Bounds,
    buckets::{Remembered, Unit},
    payer::Payer,
};

/// What may be had (draft-ietf-httpapi-ratelimit-headers).
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What is left of it.
const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// So many subjects are remembered, or twice as many: more than there are device keys.
const SUBJECTS: usize = 1 << 17;

/// The same of addresses.
const ADDRESSES: usize = 1 << 15;

/// The buckets of subjects, and those of addresses: many addresses make no subject forgotten.
pub(crate) struct Meters {
    subjects: Mutex<Remembered>,
    addresses: Mutex<Remembered>,
    /// The start of the clock of all buckets.
    began: Instant,
}

impl Meters {
    pub(crate) fn new() -> Self {
        let of = |most| Mutex::new(Remembered::new(most));
        Self { subjects: of(SUBJECTS), addresses: of(ADDRESSES), began: Instant::now() }
    }

    fn of(&self, payer: Payer) -> &Mutex<Remembered> {
        match payer {
            Payer::Key(_) | Payer::Viewer(_) => &self.subjects,
            Payer::Address(_) => &self.addresses,
        }
    }

    /// Takes so many, if there is a rate for them.
    pub(crate) fn take(
        &self,
        payer: Payer,
        bounds: &Bounds,
        (unit, cost): (Unit, usize),
        now: Instant,
    ) -> Result<(), RetryAfter> {
        let Some(rate) = unit.rate(bounds) else { return Ok(()) };
        let cost = u32::try_from(cost).map_err(|_| RetryAfter::Never)?;
        let now = now.saturating_duration_since(self.began);
        self.of(payer).lock().get(payer).of(unit).check(rate, cost, now).map(|_| ())
    }

    /// Writes what may be had and what is left.
    pub(crate) fn write(&self, payer: Payer, bounds: &Bounds, headers: &mut HeaderMap) {
        let (mut policy, mut left) = (Vec::new(), Vec::new());
        let mut buckets = self.of(payer).lock().peek(payer);
        let now = self.began.elapsed();
        for (unit, name) in Unit::OF_REQUESTS {
            let Some(rate) = unit.rate(bounds) else { continue };
            let full = Remaining { cost: 0, full_in: window(rate) };
            // a rate that was lowered meanwhile has nothing left
            let Remaining { cost, full_in } = buckets.of(unit).check(rate, 0, now).unwrap_or(full);
            let (burst, window) = (rate.burst(), seconds(window(rate)));
            policy.push(format!(r#""{name}";q={burst};w={window}"#));
            left.push(format!(r#""{name}";r={cost};t={}"#, seconds(full_in)));
        }
        for (name, items) in [(POLICY, policy), (LEFT, left)] {
            if let Ok(value) = HeaderValue::try_from(items.join(", ")) {
                headers.insert(name, value);
            }
        }
    }

    /// Forgets full buckets, which are like new ones.
    pub(crate) fn purge(&self) {
        let now = self.began.elapsed();
        [&self.subjects, &self.addresses].into_iter().for_each(|of| of.lock().purge(now));
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
    use auth::Limits;

    use super::*;

    fn key(id: &str) -> Payer {
        Payer::Key(id.parse().unwrap())
    }

    fn bounds(readings: &str, requests: &str) -> Bounds {
        let (readings, requests) = (readings.parse().ok(), requests.parse().ok());
        Bounds { limits: Limits { readings, requests, ..Limits::default() }, ..Bounds::default() }
    }

    #[test]
    fn each_payer_has_its_own_buckets_and_full_ones_are_forgotten() {
        let (meters, slow, now) = (Meters::new(), bounds("3/h burst 10", ""), Instant::now());
        let take = |payer, unit, cost| meters.take(payer, &slow, (unit, cost), now);
        let address = Payer::Address(Some([192, 0, 2, 1].into()));
        for payer in [key("000000000001"), key("000000000002"), address, Payer::Address(None)] {
            assert_eq!(take(payer, Unit::Requests, 1_000), Ok(()), "no rate");
            assert_eq!(take(payer, Unit::Readings, 11), Err(RetryAfter::Never));
            assert_eq!(take(payer, Unit::Readings, 10), Ok(()));
            assert!(matches!(take(payer, Unit::Readings, 1), Err(RetryAfter::Wait(_))));
        }
        let quick = bounds("", "1000000/s burst 1");
        assert_eq!(meters.take(key("000000000003"), &quick, (Unit::Requests, 1), now), Ok(()));
        assert_eq!(meters.subjects.lock().len(), 3);
        while meters.subjects.lock().len() > 2 {
            meters.purge();
        }
        assert_eq!(meters.addresses.lock().len(), 2);
    }

    #[test]
    fn the_fields_tell_what_may_be_had_and_what_is_left() {
        let bounds =
            Bounds { rows: "1/s burst 2000".parse().ok(), ..bounds("36/h burst 100", "3/h burst 5") };
        let (meters, payer, mut headers) = (Meters::new(), key("000000000001"), HeaderMap::new());
        meters.take(payer, &bounds, (Unit::Readings, 30), Instant::now()).unwrap();
        meters.write(payer, &bounds, &mut headers);
        assert_eq!(
            headers[POLICY],
            r#""requests";q=5;w=6000, "readings";q=100;w=10000, "rows";q=2000;w=2000"#
        );
        assert_eq!(headers[LEFT], r#""requests";r=5;t=0, "readings";r=70;t=3000, "rows";r=2000;t=0"#);
    }
}
