//! Where the feed meets the sessions: the window and who wants what, under one lock, so that a subscription is
//! attached without a seam.

use std::{collections::hash_map::Entry, sync::Arc};

use ahash::AHashMap;
use instruments::IntGauge;
use wire::{Filter, Position};

use crate::fanout::{
    batch::Batch,
    interest::{Interest, Key},
    lock::Mutex,
    mailbox::{Delivery, Mailbox},
    selection::Selection,
    window::Window,
};

/// A subscription is attached only when so little is missing that it can be handed over under the lock.
const ATTACH_BYTES: usize = 256 << 10;

/// The hub of a gateway.
#[derive(Debug, Clone)]
pub struct Hub {
    state: Arc<Mutex<State>>,
    window_bytes: usize,
    /// How many subscriptions are attached; changed under the lock.
    attached: IntGauge,
}

#[derive(Debug)]
struct State {
    window: Option<Window>,
    interest: Interest,
    /// Attached subscriptions with their filters, by session.
    sessions: AHashMap<u64, Attached>,
    feed: FeedState,
}

/// The state of the feed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FeedState {
    /// It does not follow the stream, though the log grows: other gateways can follow it.
    #[default]
    Cut,
    /// It does not follow the stream, and as far as it can see no gateway does.
    Down,
    /// It follows a stream on which no leader was active for some seconds.
    Stale,
    /// It follows a stream that a leader keeps up.
    Current,
}

#[derive(Debug)]
struct Attached {
    mailbox: Arc<Mailbox>,
    filters: Vec<(u32, Arc<Filter>)>,
}

/// What an attach found.
#[derive(Debug)]
pub enum Attach {
    /// Deliveries come to the mailbox from `head` on; these batches lie between the position asked for and it.
    Live {
        /// The feed's head at that moment.
        head: Position,
        /// To be sent first.
        missing: Vec<Arc<Batch>>,
    },
    /// Too much is missing, or the window does not reach back so far: read on first.
    TooFar,
}

impl Hub {
    /// A hub without a feed yet, whose window may hold so many bytes.
    pub fn new(window_bytes: usize) -> Self {
        let state = State {
            window: None,
            interest: Interest::default(),
            sessions: AHashMap::new(),
            feed: FeedState::Cut,
        };
        let attached = IntGauge::new("subscriptions", "Live subscriptions").expect("the name is valid");
        Self { state: Arc::new(Mutex::new(state)), window_bytes, attached }
    }

    /// Counts its subscriptions in a metric.
    #[must_use]
    pub(crate) fn counted_by(self, attached: IntGauge) -> Self {
        Self { attached, ..self }
    }

    /// Starts, or restarts, at a position that does not follow from what was published: every session goes on
    /// from the log.
    pub fn start_at(&self, head: Position) {
        let mut state = self.state.lock();
        state.window = Some(Window::new(head, self.window_bytes));
        let sessions = std::mem::take(&mut state.sessions);
        state.interest = Interest::default();
        self.attached.set(0);
        // under the lock: a session that sees the new head knows that it missed what lies before it
        sessions.values().for_each(|attached| attached.mailbox.overflow());
    }

    /// The position up to which the feed has seen everything; none before its start.
    pub fn head(&self) -> Option<Position> {
        self.state.lock().window.as_ref().map(Window::head)
    }

    /// The state of the feed.
    pub fn feed_state(&self) -> FeedState {
        self.state.lock().feed
    }

    /// Sets the state of the feed; whether it has changed.
    pub fn set_feed_state(&self, feed: FeedState) -> bool {
        std::mem::replace(&mut self.state.lock().feed, feed) != feed
    }

    /// Fills an empty window with what precedes its head, oldest first.
    pub fn remember(&self, past: Vec<Batch>) {
        if let Some(window) = &mut self.state.lock().window {
            window.remember(past);
        }
    }

    /// How many bytes of the recent past it may hold.
    pub fn window_bytes(&self) -> usize {
        self.window_bytes
    }

    /// How many bytes it holds of it now, with what is encoded.
    pub(crate) fn window_cost(&self) -> usize {
        self.state.lock().window.as_ref().map_or(0, Window::cost)
    }

    /// Adds what comes next and delivers it to the sessions that want it; how many readings it delivered, each counted once
    /// for each subscription.
    pub fn publish(&self, batch: Arc<Batch>) -> usize {
        let mut state = self.state.lock();
        let State { window: Some(window), interest, sessions, .. } = &mut *state else { return 0 };
        window.push(batch.clone());
        let (mut lagging, trace) = (Vec::new(), batch.trace());
        let mut deliveries = 0;
        let mut put = |key: &Key, mailbox: &Arc<Mailbox>, selection: Selection| {
            deliveries += selection.count(batch.count());
            if !mailbox.put(Delivery { sub: key.1, batch: batch.clone(), selection, trace: trace.clone() }) {
                lagging.push(key.0);
            }
        };
        for (key, mailbox) in interest.all() {
            put(key, mailbox, Selection::All);
        }
        if !interest.is_all_or_nothing() {
            for (subscribers, rows) in interest.of(batch.sensors()) {
                let selection = Selection::of(rows, batch.count());
                subscribers.iter().for_each(|(key, mailbox)| put(key, mailbox, selection.clone()));
            }
        }
        for session in lagging {
            if let Some(attached) = sessions.remove(&session) {
                self.forget(session, &attached, interest);
            }
        }
        deliveries
    }

    /// Attaches a subscription behind `after`, or at the head.
    pub fn attach(
        &self,
        mailbox: &Arc<Mailbox>,
        sub: u32,
        filter: &Arc<Filter>,
        after: Option<Position>,
    ) -> Attach {
        let mut state = self.state.lock();
        let State { window: Some(window), interest, sessions, .. } = &mut *state else {
            return Attach::TooFar;
        };
        let head = window.head();
        let after = after.unwrap_or(head);
        if !window.reaches_back_to(after) {
            return Attach::TooFar;
        }
        let missing = window.after(after, ATTACH_BYTES);
        if missing.last().is_some_and(|last| last.end < head) {
            return Attach::TooFar;
        }
        interest.add(mailbox, sub, filter);
        self.attached.inc();
        match sessions.entry(mailbox.session) {
            Entry::Occupied(entry) => entry.into_mut().filters.push((sub, filter.clone())),
            Entry::Vacant(entry) => {
                entry.insert(Attached { mailbox: mailbox.clone(), filters: vec![(sub, filter.clone())] });
            }
        }
        Attach::Live { head, missing }
    }

    /// Ends one subscription.
    pub fn detach(&self, session: u64, sub: u32) {
        let mut state = self.state.lock();
        let State { interest, sessions, .. } = &mut *state;
        let Some(attached) = sessions.get_mut(&session) else { return };
        if let Some(at) = attached.filters.iter().position(|(own, _)| *own == sub) {
            let (_, filter) = attached.filters.swap_remove(at);
            interest.remove((session, sub), &filter);
            self.attached.dec();
        }
    }

    /// Ends all of a session's subscriptions.
    pub fn leave(&self, session: u64) {
        let mut state = self.state.lock();
        let State { interest, sessions, .. } = &mut *state;
        if let Some(attached) = sessions.remove(&session) {
            self.forget(session, &attached, interest);
        }
    }

    fn forget(&self, session: u64, attached: &Attached, interest: &mut Interest) {
        attached.filters.iter().for_each(|(sub, filter)| interest.remove((session, *sub), filter));
        self.attached.sub(i64::try_from(attached.filters.len()).unwrap_or(i64::MAX));
    }

    /// How many subscriptions are attached.
    #[cfg(test)]
    pub(crate) fn attached(&self) -> &IntGauge {
        &self.attached
    }

    /// Batches behind a position from the window, up to about `limit` bytes; none where it does not reach back.
    pub fn recent(&self, after: Position, limit: usize) -> Option<Vec<Arc<Batch>>> {
        let mut state = self.state.lock();
        let window = state.window.as_mut()?;
        let known = window.reaches_back_to(after) && after <= window.head();
        known.then(|| window.after(after, limit))
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
