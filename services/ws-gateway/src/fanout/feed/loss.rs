//! The loss of the feed: from the first failure until the stream is followed again.

use std::time::Duration;

use chassis::Outage;
use store::Database;
use tokio::time::{Instant, timeout};
use wire::Tick;

/// A feed that is lost again so soon after it was followed is flapping.
const FLAPPING_WITHIN: Duration = Duration::from_secs(10);

/// So long a flapping feed must have been followed before its loss is over.
const SETTLED_AFTER: Duration = Duration::from_secs(5);

/// A leader without Redis makes one tick that it cannot append. With more than that, Redis is there for others.
const TICKS_WITHOUT_REDIS: i64 = 1;

/// How long a read of the log's end may take.
const READ_LIMIT: Duration = Duration::from_secs(1);

/// A loss, or that there is none.
pub(super) struct Loss {
    pub(super) outage: Outage,
    /// The database's identity as it was last read.
    pub(super) identity: Option<String>,
    /// Whether the stream is followed; at first it never was.
    pub(super) over: bool,
    /// When the last one was over.
    over_at: Option<Instant>,
    /// Since when the stream could be read each time.
    read_since: Option<Instant>,
    /// Whether it began soon after another: it is over only when the stream has been followed for a while.
    flapping: bool,
    /// The log's last tick when it was first read since.
    tick: Option<Tick>,
}

impl Loss {
    pub(super) fn new() -> Self {
        Self {
            outage: Outage::new("the feed"),
            identity: None,
            over: false,
            over_at: None,
            read_since: None,
            flapping: false,
            tick: None,
        }
    }

    /// The stream was read: whether that, or what came before it, is the end of the loss.
    pub(super) fn ends(&mut self, now: Instant) -> bool {
        let since = *self.read_since.get_or_insert(now);
        if self.over || (self.flapping && now < since + SETTLED_AFTER) {
            return false;
        }
        self.outage.ends();
        (self.over, self.over_at, self.tick) = (true, Some(now), None);
        true
    }

    /// The stream could not be read: whether that begins a loss, and is not part of one.
    pub(super) fn begins(&mut self, now: Instant) -> bool {
        self.read_since = None;
        let begins = std::mem::take(&mut self.over);
        if begins {
            self.flapping = self.over_at.is_some_and(|at| now < at + FLAPPING_WITHIN);
        }
        begins
    }

    /// Whether a leader appends ticks to the stream that this gateway cannot follow.
    pub(super) async fn is_ours_alone(&mut self, database: &Database) -> bool {
        let Ok(Ok(head)) = timeout(READ_LIMIT, database.head()).await else { return false };
        let first = *self.tick.get_or_insert(head.last_tick);
        head.last_tick.0 > first.0 + TICKS_WITHOUT_REDIS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flapping_feed_is_over_its_loss_when_it_has_settled() {
        let (mut loss, start) = (Loss::new(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert!(!loss.begins(at(0)) && loss.ends(at(1)), "the first is over with the first read");
        assert!(!loss.ends(at(2)), "once");
        assert!(loss.begins(at(3)) && !loss.begins(at(4)));
        assert!(!loss.ends(at(5)) && !loss.begins(at(6)), "it came and went");
        assert!(!loss.ends(at(7)) && !loss.ends(at(11)) && loss.ends(at(12)), "five seconds in a row");
        assert!(loss.begins(at(60)) && loss.ends(at(60)), "a single one after a long time is over at once");
    }
}
