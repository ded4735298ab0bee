//! The bytes that wait for all clients, counted together.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::budget::Budget;

/// Outboxes are counted together in steps of this size, so that short ones cost no shared counter.
const STEP_BYTES: usize = 64 << 10;

/// The bytes that wait for all clients together, and how many may; and what else they may make the gateway hold.
#[derive(Debug)]
pub struct Backlog {
    limit: usize,
    bytes: AtomicUsize,
    budget: Arc<Budget>,
}

impl Backlog {
    /// At the limit, sessions with more than 64 KiB to write read on from the log, at their own pace.
    pub fn new(limit: usize, budget: Arc<Budget>) -> Arc<Self> {
        Arc::new(Self { limit, bytes: AtomicUsize::new(0), budget })
    }

    /// What else they may make the gateway hold.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// How many may wait.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes that wait, without outboxes of less than 64 KiB.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn is_full(&self) -> bool {
        self.bytes() >= self.limit
    }
}

/// How much of the backlog is one holder's, counted in steps.
#[derive(Debug)]
pub(crate) struct Share {
    backlog: Arc<Backlog>,
    /// The holder's bytes that the backlog counts. One task writes it.
    counted: AtomicUsize,
}

impl Share {
    pub(crate) fn of(backlog: Arc<Backlog>) -> Self {
        Self { backlog, counted: AtomicUsize::new(0) }
    }

    /// What it is a part of.
    pub(super) fn backlog(&self) -> &Arc<Backlog> {
        &self.backlog
    }

    /// The holder has so many bytes now.
    pub(crate) fn set(&self, bytes: usize) {
        let step = bytes / STEP_BYTES * STEP_BYTES;
        let before = self.counted.swap(step, Ordering::Relaxed);
        if step != before {
            self.backlog.bytes.fetch_add(step.wrapping_sub(before), Ordering::Relaxed);
        }
    }

    /// Whether the holder must wait: the backlog is full, and the holder has a part in that.
    pub(crate) fn is_too_much(&self) -> bool {
        self.counted.load(Ordering::Relaxed) > 0 && self.backlog.is_full()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}
