//! The leader's beat: when it was last heard, by this machine's clock alone.

use std::time::Duration;

use tokio::time::Instant;

use crate::fanout::hub::FeedState;

/// A leader beats every second. Silent for so long it is dead or cut off, and clients are told.
pub(super) const STALE_AFTER: Duration = Duration::from_secs(4);

/// When a leader was last heard.
pub(super) struct Pulse {
    beat: Option<i64>,
    began_at: Instant,
    heard_at: Option<Instant>,
}

impl Pulse {
    /// Begins with the counter as it is now.
    pub(super) fn new(beat: Option<i64>) -> Self {
        Self { beat, began_at: Instant::now(), heard_at: None }
    }

    /// An entry came: a leader appends.
    pub(super) fn hear(&mut self) {
        self.heard_at = Some(Instant::now());
    }

    /// The counter was read.
    pub(super) fn observe(&mut self, beat: Option<i64>) {
        if beat != self.beat {
            (self.beat, self.heard_at) = (beat, Some(Instant::now()));
        }
    }

    /// Whether a leader was ever heard.
    pub(super) fn was_heard(&self) -> bool {
        self.heard_at.is_some()
    }

    /// Whether a leader was heard, or has been silent for long enough to say so.
    pub(super) fn is_known(&self) -> bool {
        self.was_heard() || self.began_at.elapsed() >= STALE_AFTER
    }

    pub(super) fn feed_state(&self) -> FeedState {
        let current = self.heard_at.is_some_and(|heard_at| heard_at.elapsed() < STALE_AFTER);
        if current { FeedState::Current } else { FeedState::Stale }
    }
}
