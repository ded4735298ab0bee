//! Buckets against the definition of a rate, under random demands.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use auth::{Gcra, Rate, RetryAfter};
use proptest::{collection::vec, prelude::*};

/// Rates from one a day to a million a second, with bursts that last up to a year.
fn rate() -> impl Strategy<Value = Rate> {
    let per_second = prop_oneof![
        Just(Rate::MIN_PER_SECOND),
        Just(Rate::MAX_PER_SECOND),
        (-4.9f64..6.0).prop_map(|exponent| 10f64.powf(exponent)),
        (1u32..1_000).prop_map(f64::from),
    ];
    (per_second, prop_oneof![1u32..10, 1u32..u32::MAX])
        .prop_filter_map("the burst is too long", |(per_second, burst)| Rate::new(per_second, burst).ok())
}

/// A pause before a demand, in parts of the time for one, and its cost in parts of the burst.
fn demand() -> impl Strategy<Value = (f64, f64)> {
    (prop_oneof![Just(0.0), 0.0f64..3.0, 0.0f64..1_000.0], prop_oneof![Just(0.0), 0.0f64..0.3, 0.0f64..=1.0])
}

/// The costs that were admitted, with their times, from `start` on, to one that waits as it is told.
fn run(rate: Rate, start: Duration, demands: &[(f64, f64)]) -> Vec<(Duration, u32)> {
    let (mut bucket, mut now, mut admitted) = (Gcra::default(), start, Vec::new());
    for (pause, share) in demands {
        now += Duration::from_secs_f64(pause / rate.per_second());
        let cost = ((f64::from(rate.burst()) * share) as u32).max(1);
        if let Err(RetryAfter::Wait(wait)) = bucket.check(rate, cost, now) {
            now += wait;
            bucket.check(rate, cost, now).unwrap();
        }
        admitted.push((now, cost));
    }
    admitted
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn in_no_span_of_time_more_is_admitted_than_the_burst_and_the_rate_give(
        rate in rate(),
        start in 0u64..1 << 60,
        demands in vec(demand(), 1..60),
    ) {
        let admitted = run(rate, Duration::from_nanos(start), &demands);
        for first in 0..admitted.len() {
            let mut sum = 0;
            for (now, cost) in &admitted[first..] {
                sum += u64::from(*cost);
                let span = (*now - admitted[first].0).as_secs_f64();
                let most = f64::from(rate.burst()) + rate.per_second() * span;
                prop_assert!(sum as f64 <= most * (1.0 + 1e-12), "{} in {} s", sum, span);
            }
        }
    }

    #[test]
    fn waiting_as_told_succeeds_and_a_nanosecond_less_does_not(
        rate in rate(),
        start in 0u64..1 << 60,
        demands in vec(demand(), 1..60),
    ) {
        let (mut bucket, mut now) = (Gcra::default(), Duration::from_nanos(start));
        for (pause, share) in demands {
            now += Duration::from_secs_f64(pause / rate.per_second());
            let cost = ((f64::from(rate.burst()) * share) as u32).max(1);
            let before = bucket;
            match bucket.check(rate, cost, now) {
                Ok(left) => {
                    prop_assert!(bucket.is_full(now + left.full_in));
                    prop_assert!(!bucket.is_full(now + left.full_in - Duration::from_nanos(1)));
                    prop_assert!(left.cost == 0 || bucket.clone().check(rate, left.cost, now).is_ok());
                    let more = bucket.clone().check(rate, left.cost + 1, now);
                    prop_assert!(more.is_err(), "{:?} and one more", left);
                }
                Err(RetryAfter::Wait(wait)) => {
                    prop_assert_eq!(bucket, before, "a refusal takes nothing");
                    let mut early = bucket;
                    let one = RetryAfter::Wait(Duration::from_nanos(1));
                    prop_assert_eq!(early.check(rate, cost, now + wait - Duration::from_nanos(1)), Err(one));
                    now += wait;
                    prop_assert!(bucket.check(rate, cost, now).is_ok());
                }
                Err(RetryAfter::Never) => prop_assert!(false, "{} of {}", cost, rate.burst()),
            }
        }
    }

    #[test]
    fn a_cost_above_the_burst_is_told_apart_from_a_wait(rate in rate(), now in any::<u64>(), above in 1u32..9) {
        let (mut bucket, now) = (Gcra::default(), Duration::from_nanos(now));
        if let Some(cost) = rate.burst().checked_add(above) {
            prop_assert_eq!(bucket.check(rate, cost, now), Err(RetryAfter::Never));
            prop_assert_eq!(bucket, Gcra::default());
        }
    }
}

#[test]
fn a_burst_comes_at_once_or_one_by_one_and_then_the_rate() {
    // a third of a second is no whole number of nanoseconds
    let rate = Rate::new(3.0, 10).unwrap();
    for cost in [1, 10] {
        let (mut bucket, mut now) = (Gcra::default(), Duration::from_secs(7));
        for left in (0..10 / cost).rev() {
            assert_eq!(bucket.check(rate, cost, now).unwrap().cost, left * cost);
        }
        let Err(RetryAfter::Wait(wait)) = bucket.check(rate, 1, now) else { panic!("the burst is used up") };
        assert_eq!(wait, Duration::from_nanos(333_333_334));
        now += wait;
        assert_eq!(bucket.check(rate, 1, now).unwrap().cost, 0);
    }
}

#[test]
fn a_rate_that_was_lowered_still_tells_the_truth() {
    let (fast, slow) = (Rate::new(1.0, 100).unwrap(), Rate::new(1.0, 2).unwrap());
    let (mut bucket, now) = (Gcra::default(), Duration::ZERO);
    bucket.check(fast, 100, now).unwrap();
    let Err(RetryAfter::Wait(wait)) = bucket.check(slow, 1, now) else { panic!("more was used than it has") };
    assert_eq!(wait, Duration::from_secs(99));
    assert!(bucket.check(slow, 1, now + wait).is_ok());
}

#[test]
fn the_end_of_time_does_not_overflow() {
    let rate = Rate::new(Rate::MIN_PER_SECOND, 365).unwrap();
    let mut bucket = Gcra::default();
    bucket.check(rate, 365, Duration::MAX).unwrap();
    assert!(bucket.check(rate, 365, Duration::MAX).is_err());
}
