//! The lag rule: when a standby may say that the leader's work is not being done.
//!
//! It may when readings wait, nothing has moved for [`PATIENCE`], no leader is at work on a statement at that moment, and the
//! standby's own questions were answered quickly all the while: then neither Postgres nor Redis is what holds the
//! leader up, and another leader would do better. Whoever is slow because the servers are slow keeps the Lease.

use std::time::Duration;

use bus::EntryId;
use store::Outlook;
use tokio::time::Instant;

/// How long nothing may move while readings wait. A leader under load makes hundreds of ticks in that time.
pub const PATIENCE: Duration = Duration::from_millis(1_500);

/// A look that took longer says more about the servers than about the leader.
pub const QUICK: Duration = Duration::from_millis(250);

/// What a standby has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// In Postgres.
    pub outlook: Outlook,
    /// Where the stream ends.
    pub end: Option<EntryId>,
    /// How often leaders have said that they are there.
    pub beats: u64,
    /// How long it took to see that.
    pub took: Duration,
}

/// Looks, one after the other.
#[derive(Debug, Default)]
pub struct Lag {
    /// The last look, and since when readings have been waiting with nothing moving.
    last: Option<(Look, Option<Instant>)>,
}

impl Lag {
    /// Takes in a look; whether the leader's work is not being done.
    pub fn saw(&mut self, look: Look, now: Instant) -> bool {
        if look.took > QUICK {
            self.forget();
            return false;
        }
        let stuck = self.last.and_then(|(last, since)| since.filter(|_| !moved(&last, &look)));
        let since = look.outlook.waiting.then(|| stuck.unwrap_or(now));
        self.last = Some((look, since));
        !look.outlook.working && since.is_some_and(|since| now - since >= PATIENCE)
    }

    /// A look failed, or leadership has changed: what was seen before says nothing any more.
    pub fn forget(&mut self) {
        self.last = None;
    }
}

/// A tick, an append, or a sign of life.
fn moved(before: &Look, after: &Look) -> bool {
    let marks = |look: &Look| (look.outlook.epoch, look.outlook.head, look.end, look.beats);
    marks(before) != marks(after)
}
