//! What clients make the gateway keep: counted for all of them together, and given back when it is dropped.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wire::{Filter, Pattern};

/// So many connections may have a message under way that is longer than [`SHORT_BYTES`]; each takes twice as much as its
/// bytes while they are put together.
const LONG_MESSAGES: usize = 128;

/// What every connection may keep of a message that is not whole.
pub(crate) const SHORT_BYTES: usize = 4 << 10;

/// About what a pattern takes beside its text, which is kept twice: its entries in two tables, and in its subscription.
const PATTERN_BYTES: usize = 384;

/// Room for what all clients make the gateway keep.
#[derive(Debug)]
pub struct Kept {
    patterns: Arc<Semaphore>,
    long_messages: Arc<Semaphore>,
}

/// A part of it.
#[derive(Debug)]
pub struct Room {
    _part: Option<OwnedSemaphorePermit>,
}

impl Kept {
    /// Patterns may take so many bytes.
    pub fn new(pattern_bytes: usize) -> Arc<Self> {
        let patterns = Arc::new(Semaphore::new(pattern_bytes.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self { patterns, long_messages: Arc::new(Semaphore::new(LONG_MESSAGES)) })
    }

    /// For a subscription's patterns; none if they do not fit.
    pub(crate) fn patterns(&self, filter: &Filter) -> Option<Room> {
        let Filter::Any(patterns) = filter else { return Some(Room { _part: None }) };
        let of = |pattern: &Pattern| match pattern {
            Pattern::Exact(text) | Pattern::Prefix(text) => 2 * text.len() + PATTERN_BYTES,
        };
        let bytes = u32::try_from(patterns.iter().map(of).sum::<usize>()).ok()?;
        let part = self.patterns.clone().try_acquire_many_owned(bytes).ok()?;
        Some(Room { _part: Some(part) })
    }

    /// For a long message; none if too many are under way.
    pub(crate) fn long_message(&self) -> Option<Room> {
        let part = self.long_messages.clone().try_acquire_owned().ok()?;
        Some(Room { _part: Some(part) })
    }
}

impl Default for Kept {
    fn default() -> Self {
        let without_end = || Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        Self { patterns: without_end(), long_messages: without_end() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_room_until_it_is_taken_and_again_when_it_is_given_back() {
        let kept = Kept::new(3 * (PATTERN_BYTES + 2));
        let filter = |sensors: &[&str]| Filter::parse(Some(sensors)).unwrap();
        let two = kept.patterns(&filter(&["a", "b*"])).unwrap();
        assert!(kept.patterns(&filter(&["c", "d"])).is_none());
        let one = kept.patterns(&filter(&["c"])).unwrap();
        assert!(kept.patterns(&filter(&["d"])).is_none());
        assert!(kept.patterns(&Filter::All).is_some(), "everything is no pattern");
        drop((one, two));
        assert!(kept.patterns(&filter(&["c", "d"])).is_some());
    }
}
