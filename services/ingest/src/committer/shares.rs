//! The bytes that may wait for the database, shared by flows.
//!
//! A flow may have eight times as many as are free: alone it has eight ninths of them, and however many others fill what they
//! may, something is left for the next (dynamic thresholds, Choudhury and Hahne, 1998). What is known of a flow is gone with its
//! last job.

use std::{collections::HashMap, sync::Arc};

use instruments::IntGauge;
use parking_lot::Mutex;

use crate::writer::Flow;

/// How many times the free bytes a flow may have.
const OF_FREE: usize = 8;

/// The bytes.
#[derive(Clone)]
pub(super) struct Shares {
    state: Arc<Mutex<State>>,
    queued: IntGauge,
}

struct State {
    free: usize,
    flows: HashMap<Flow, usize>,
}

/// A job's part of them, until it is dropped.
pub(super) struct Memory {
    shares: Shares,
    flow: Flow,
    bytes: usize,
}

impl Shares {
    pub(super) fn new(bytes: usize, queued: &IntGauge) -> Self {
        let state = State { free: bytes, flows: HashMap::new() };
        Self { state: Arc::new(Mutex::new(state)), queued: queued.clone() }
    }

    /// So many bytes for a job of this flow, if it may have them.
    pub(super) fn take(&self, flow: &Flow, bytes: usize) -> Option<Memory> {
        let mut state = self.state.lock();
        let own = state.flows.get(flow).copied().unwrap_or(0);
        if bytes > state.free || own.checked_add(bytes)? > state.free.saturating_mul(OF_FREE) {
            return None;
        }
        state.free -= bytes;
        *state.flows.entry(flow.clone()).or_default() += bytes;
        drop(state);
        self.queued.add(gauge(bytes));
        Some(Memory { shares: self.clone(), flow: flow.clone(), bytes })
    }
}

impl Memory {
    /// How many.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let mut state = self.shares.state.lock();
        state.free += self.bytes;
        if let Some(own) = state.flows.get_mut(&self.flow) {
            *own = own.saturating_sub(self.bytes);
            if *own == 0 {
                state.flows.remove(&self.flow);
            }
        }
        drop(state);
        self.shares.queued.sub(gauge(self.bytes));
    }
}

fn gauge(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(last: u8) -> Flow {
        Flow::Address(Some([192, 0, 2, last].into()))
    }

    #[test]
    fn what_a_flow_may_take_leaves_something_for_the_next() {
        let queued = IntGauge::new("queue", "queue").unwrap();
        let shares = Shares::new(1_200, &queued);
        let whole = shares.take(&flow(1), 1_200).unwrap();
        assert!(shares.take(&flow(2), 1).is_none(), "the largest request is taken by an empty queue");
        drop(whole);
        let fill = |last| std::iter::from_fn(|| shares.take(&flow(last), 1)).collect::<Vec<_>>();
        let first = fill(1);
        let second = fill(2);
        let third = fill(3);
        assert_eq!((first.len(), second.len(), third.len()), (1_067, 119, 13));
        assert_eq!(queued.get(), 1_199);
        drop((first, second, third));
        let state = shares.state.lock();
        assert_eq!((state.free, state.flows.len(), queued.get()), (1_200, 0, 0));
    }
}
