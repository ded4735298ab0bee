//! Signs of a leader: its entries and its beat, by this machine's clock alone.

use std::time::Duration;

use tokio::time::Instant;

use crate::fanout::hub::FeedState;

/// A leader beats every second. Silent for so long it is dead or cut off, and clients are told.
pub(super) const STALE_AFTER: Duration = Duration::from_secs(4);

/// When a leader was last active.
pub(super) struct Pulse {
    beat: Option<i64>,
    began_at: Instant,
    active_at: Option<Instant>,
}

impl Pulse {
    /// Begins with the counter as it is now.
    pub(super) fn new(beat: Option<i64>) -> Self {
        Self { beat, began_at: Instant::now(), active_at: None }
    }

    /// An entry came: a leader appends.
    pub(super) fn note_entry(&mut self) {
        self.active_at = Some(Instant::now());
    }

    /// The counter was read.
    pub(super) fn observe(&mut self, beat: Option<i64>) {
        if beat != self.beat {
            (self.beat, self.active_at) = (beat, Some(Instant::now()));
        }
    }

    /// Whether there was ever a sign of a leader.
    pub(super) fn has_leader(&self) -> bool {
        self.active_at.is_some()
    }

    /// Whether there was a sign of a leader, or none for long enough to say so.
    pub(super) fn is_known(&self) -> bool {
        self.has_leader() || self.began_at.elapsed() >= STALE_AFTER
    }

    pub(super) fn feed_state(&self) -> FeedState {
        let current = self.active_at.is_some_and(|at| at.elapsed() < STALE_AFTER);
        if current { FeedState::Current } else { FeedState::Stale }
    }
}
