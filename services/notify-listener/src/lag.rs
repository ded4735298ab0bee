//! The lag rule: when a standby may claim the Lease because the leader has stalled.
//!
//! It may when readings wait, nothing has moved for [`STALLED_AFTER`], no leader runs a statement at that moment, and the
//! standby's own checks were answered quickly all the while: then neither Postgres nor Redis holds the leader up, and another
//! leader would do better. A leader that is slow because the servers are slow keeps the Lease.

use std::time::Duration;

use bus::EntryId;
use store::LogStatus;
use tokio::time::Instant;

/// How long nothing may move while readings wait. A leader under load makes hundreds of ticks in that time.
pub const STALLED_AFTER: Duration = Duration::from_millis(1_500);

/// A check that took longer shows slow servers, not a stalled leader.
pub const QUICK: Duration = Duration::from_millis(250);

/// What a standby has observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// In Postgres.
    pub log: LogStatus,
    /// Where the stream ends.
    pub end: Option<EntryId>,
    /// The beats of leaders.
    pub beats: u64,
    /// How long the check took.
    pub took: Duration,
}

/// Observations, one after the other.
#[derive(Debug, Default)]
pub struct Lag {
    /// The last observation, and since when readings have been waiting with nothing moving.
    last: Option<(Observation, Option<Instant>)>,
}

impl Lag {
    /// Takes an observation; whether the leader has stalled.
    pub fn observe(&mut self, observation: Observation, now: Instant) -> bool {
        if observation.took > QUICK {
            self.forget();
            return false;
        }
        let stuck = self.last.and_then(|(last, since)| since.filter(|_| !moved(&last, &observation)));
        let since = observation.log.waiting.then(|| stuck.unwrap_or(now));
        self.last = Some((observation, since));
        !observation.log.working && since.is_some_and(|since| now - since >= STALLED_AFTER)
    }

    /// A check failed, or leadership has changed: earlier observations no longer count.
    pub fn forget(&mut self) {
        self.last = None;
    }
}

/// Whether there was a tick, an append or a beat.
fn moved(before: &Observation, after: &Observation) -> bool {
    let marks = |observation: &Observation| {
        (observation.log.epoch, observation.log.head, observation.end, observation.beats)
    };
    marks(before) != marks(after)
}
