//! The lag rule, check by check.

use std::time::Duration;

use bus::EntryId;
use notify_listener::lag::{Lag, Observation, QUICK, STALLED_AFTER};
use proptest::prelude::*;
use store::LogStatus;
use tokio::time::Instant;
use wire::{Epoch, Tick};

/// A leader that is gone: readings wait, and nothing moves.
const GONE: Observation = Observation {
    log: LogStatus { epoch: Epoch(1), head: Tick(7), waiting: true, working: false },
    end: Some(EntryId { tick: Tick(7), last_id: 70 }),
    beats: 12,
    took: Duration::from_millis(2),
};

/// Checks at intervals of a quarter of a second; when the rule first applied.
fn first_lag(observations: impl IntoIterator<Item = Observation>) -> Option<Duration> {
    let (mut lag, began) = (Lag::default(), Instant::now());
    let mut after = Duration::ZERO;
    for observation in observations {
        if lag.observe(observation, began + after) {
            return Some(after);
        }
        after += Duration::from_millis(250);
    }
    None
}

#[track_caller]
fn never(what: &str, observation: impl Fn(usize) -> Observation) {
    assert_eq!(first_lag((0..200).map(observation)), None, "{what}");
}

#[test]
fn a_leader_that_is_gone_is_detected() {
    assert_eq!(first_lag([GONE; 20]), Some(STALLED_AFTER));
}

#[test]
fn a_leader_that_works_keeps_the_lease() {
    let number = |n: usize| i64::try_from(n).expect("a small number");
    never("nothing waits", |_| Observation { log: LogStatus { waiting: false, ..GONE.log }, ..GONE });
    never("a tick in five checks", |n| Observation {
        log: LogStatus { head: Tick(number(n / 5)), ..GONE.log },
        ..GONE
    });
    never("it appends what it had to make again", |n| Observation {
        end: Some(EntryId { tick: Tick(7), last_id: number(n / 5) }),
        ..GONE
    });
    never("it moves its beat", |n| Observation { beats: n as u64 / 5, ..GONE });
    never("it is at a huge tick, or the disk is slow", |_| Observation {
        log: LogStatus { working: true, ..GONE.log },
        ..GONE
    });
}

#[test]
fn a_standby_that_gets_slow_answers_cannot_decide() {
    never("all are slow", |_| Observation { took: QUICK * 2, ..GONE });
    never("one in five is slow", |n| Observation {
        took: if n % 5 == 0 { QUICK * 2 } else { QUICK },
        ..GONE
    });
    let mut lag = Lag::default();
    let now = Instant::now();
    assert!(!lag.observe(GONE, now));
    lag.forget();
    assert!(!lag.observe(GONE, now + STALLED_AFTER), "observations from before a loss do not count");
}

proptest! {
    #[test]
    fn it_never_applies_before_readings_have_waited_for_the_whole_time(
        observations in prop::collection::vec((0..3_i64, any::<bool>(), 0..400_u64), 1..60),
    ) {
        let observation = |(head, waiting, took): (i64, bool, u64)| Observation {
            log: LogStatus { head: Tick(head), waiting, ..GONE.log },
            took: Duration::from_millis(took),
            ..GONE
        };
        let observations: Vec<Observation> = observations.into_iter().map(observation).collect();
        if let Some(after) = first_lag(observations.iter().copied()) {
            let applied = usize::try_from(after.as_millis() / 250).expect("a small number");
            let waited = &observations[applied - 6..=applied];
            prop_assert!(waited.iter().all(|observation| observation.log.waiting && observation.took <= QUICK));
            prop_assert!(waited.iter().all(|observation| observation.log.head == waited[0].log.head));
        }
    }
}
