//! Memory that clients make the gateway hold: counted for all of them together, and given back on drop.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wire::{Filter, Pattern};

/// So many connections may have a message under way that is longer than [`SHORT_BYTES`]; each takes twice as much as its
/// bytes while they are put together.
const LONG_MESSAGES: usize = 128;

/// What every connection may hold of an incomplete message.
pub(crate) const SHORT_BYTES: usize = 4 << 10;

/// About what a pattern takes beside its text, which is held twice: its entries in two tables, and in its subscription.
const PATTERN_BYTES: usize = 384;

/// What all clients together may make the gateway hold.
#[derive(Debug)]
pub struct Budget {
    patterns: Arc<Semaphore>,
    long_messages: Arc<Semaphore>,
}

/// A part of the budget.
#[derive(Debug)]
pub struct MemoryPermit {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// Patterns may take so many bytes.
    pub fn new(pattern_bytes: usize) -> Arc<Self> {
        let patterns = Arc::new(Semaphore::new(pattern_bytes.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self { patterns, long_messages: Arc::new(Semaphore::new(LONG_MESSAGES)) })
    }

    /// For a subscription's patterns; none if they do not fit.
    pub(crate) fn patterns(&self, filter: &Filter) -> Option<MemoryPermit> {
        let Filter::Any(patterns) = filter else { return Some(MemoryPermit { _permit: None }) };
        let of = |pattern: &Pattern| match pattern {
            Pattern::Exact(text) | Pattern::Prefix(text) => 2 * text.len() + PATTERN_BYTES,
        };
        let bytes = u32::try_from(patterns.iter().map(of).sum::<usize>()).ok()?;
        let permit = self.patterns.clone().try_acquire_many_owned(bytes).ok()?;
        Some(MemoryPermit { _permit: Some(permit) })
    }

    /// For a long message; none if too many are incomplete.
    pub(crate) fn long_message(&self) -> Option<MemoryPermit> {
        let permit = self.long_messages.clone().try_acquire_owned().ok()?;
        Some(MemoryPermit { _permit: Some(permit) })
    }
}

impl Default for Budget {
    fn default() -> Self {
        let unlimited = || Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        Self { patterns: unlimited(), long_messages: unlimited() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_admitted_up_to_the_budget_and_again_when_it_is_given_back() {
        let budget = Budget::new(3 * (PATTERN_BYTES + 2));
        let filter = |sensors: &[&str]| Filter::parse(Some(sensors)).unwrap();
        let two = budget.patterns(&filter(&["a", "b*"])).unwrap();
        assert!(budget.patterns(&filter(&["c", "d"])).is_none());
        let one = budget.patterns(&filter(&["c"])).unwrap();
        assert!(budget.patterns(&filter(&["d"])).is_none());
        for none in [Filter::All, Filter::Any(Vec::new())] {
            assert!(budget.patterns(&none).is_some(), "a filter of everything or nothing holds no pattern");
        }
        drop((one, two));
        assert!(budget.patterns(&filter(&["c", "d"])).is_some());
    }
}
