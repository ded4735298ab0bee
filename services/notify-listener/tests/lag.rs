//! The lag rule, look by look.

use std::time::Duration;

use bus::EntryId;
use notify_listener::lag::{Lag, Look, PATIENCE, QUICK};
use proptest::prelude::*;
use store::Outlook;
use tokio::time::Instant;
use wire::{Epoch, Tick};

/// A leader that is gone: readings wait, and nothing moves.
const GONE: Look = Look {
    outlook: Outlook { epoch: Epoch(1), head: Tick(7), waiting: true, working: false },
    end: Some(EntryId { tick: Tick(7), last_id: 70 }),
    beats: 12,
    took: Duration::from_millis(2),
};

/// Looks at intervals of a quarter of a second; when the rule first spoke.
fn first_lag(looks: impl IntoIterator<Item = Look>) -> Option<Duration> {
    let (mut lag, began) = (Lag::default(), Instant::now());
    let mut after = Duration::ZERO;
    for look in looks {
        if lag.saw(look, began + after) {
            return Some(after);
        }
        after += Duration::from_millis(250);
    }
    None
}

#[track_caller]
fn never(what: &str, look: impl Fn(usize) -> Look) {
    assert_eq!(first_lag((0..200).map(look)), None, "{what}");
}

#[test]
fn a_leader_that_is_gone_is_found_out() {
    assert_eq!(first_lag([GONE; 20]), Some(PATIENCE));
}

#[test]
fn a_leader_that_works_keeps_the_lease() {
    let number = |n: usize| i64::try_from(n).expect("a small number");
    never("nothing waits", |_| Look { outlook: Outlook { waiting: false, ..GONE.outlook }, ..GONE });
    never("a tick in five looks", |n| Look {
        outlook: Outlook { head: Tick(number(n / 5)), ..GONE.outlook },
        ..GONE
    });
    never("it appends what it had to make again", |n| Look {
        end: Some(EntryId { tick: Tick(7), last_id: number(n / 5) }),
        ..GONE
    });
    never("it says that it is there", |n| Look { beats: n as u64 / 5, ..GONE });
    never("it is at a huge tick, or the disk is slow", |_| Look {
        outlook: Outlook { working: true, ..GONE.outlook },
        ..GONE
    });
}

#[test]
fn whoever_gets_slow_answers_cannot_judge() {
    never("all are slow", |_| Look { took: QUICK * 2, ..GONE });
    never("one in five is slow", |n| Look { took: if n % 5 == 0 { QUICK * 2 } else { QUICK }, ..GONE });
    let mut lag = Lag::default();
    let now = Instant::now();
    assert!(!lag.saw(GONE, now));
    lag.forget();
    assert!(!lag.saw(GONE, now + PATIENCE), "what was seen before a loss does not count");
}

proptest! {
    #[test]
    fn it_never_speaks_before_readings_have_waited_for_the_whole_patience(
        looks in prop::collection::vec((0..3_i64, any::<bool>(), 0..400_u64), 1..60),
    ) {
        let look = |(head, waiting, took): (i64, bool, u64)| Look {
            outlook: Outlook { head: Tick(head), waiting, ..GONE.outlook },
            took: Duration::from_millis(took),
            ..GONE
        };
        let looks: Vec<Look> = looks.into_iter().map(look).collect();
        if let Some(after) = first_lag(looks.iter().copied()) {
            let spoke = usize::try_from(after.as_millis() / 250).expect("a small number");
            let waited = &looks[spoke - 6..=spoke];
            prop_assert!(waited.iter().all(|look| look.outlook.waiting && look.took <= QUICK));
            prop_assert!(waited.iter().all(|look| look.outlook.head == waited[0].outlook.head));
        }
    }
}
