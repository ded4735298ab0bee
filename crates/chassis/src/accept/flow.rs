//! The deadlines of a connection's peer: for sending a head, for idling, and for taking what is sent to it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use std::{future::poll_fn, pin::Pin};

use tokio::time::{Instant, Sleep, sleep_until};

use super::limits::{Limits, Overdue};

/// What one connection waits for: its requests, bodies and socket report it, and one timer checks the deadlines.
pub(super) struct Flow {
    limits: Limits,
    state: Mutex<State>,
}

struct State {
    /// Whether a request has arrived.
    served: bool,
    /// Whether the connection is closing: no further request is accepted.
    ending: bool,
    /// Requests that are being answered.
    open: usize,
    /// Since when there has been none.
    idle_since: Instant,
    /// When the first byte of the next head arrived.
    head_since: Option<Instant>,
    /// How many bytes have arrived since.
    head_bytes: usize,
    /// Pieces of responses that were passed on and not taken yet, and writes that wait for the socket.
    untaken: usize,
    /// When the peer last took something.
    taken_at: Instant,
}

impl Flow {
    pub(super) fn new(limits: Limits) -> Self {
        let now = Instant::now();
        let state = State {
            served: false,
            ending: false,
            open: 0,
            idle_since: now,
            head_since: None,
            head_bytes: 0,
            untaken: 0,
            taken_at: now,
        };
        Self { limits, state: Mutex::new(state) }
    }

    /// Bytes arrived in HTTP/1: those of a head, where no request is being answered. Returns the size of the head so far.
    pub(super) fn received(&self, bytes: usize) -> usize {
        let mut state = self.lock();
        if state.open > 0 {
            return 0;
        }
        state.head_since.get_or_insert_with(Instant::now);
        state.head_bytes = state.head_bytes.saturating_add(bytes);
        state.head_bytes
    }

    /// A request has arrived.
    pub(super) fn opened(&self) {
        let mut state = self.lock();
        state.open += 1;
        (state.served, state.head_since, state.head_bytes) = (true, None, 0);
    }

    /// It is answered.
    pub(super) fn closed(&self) {
        let mut state = self.lock();
        state.open -= 1;
        state.idle_since = Instant::now();
    }

    /// No further request is accepted: the peer gets the time of a head to disconnect, and a shorter time to take what
    /// waits for it.
    pub(super) fn ending(&self) {
        let mut state = self.lock();
        let now = Instant::now();
        (state.served, state.ending, state.idle_since, state.taken_at) = (false, true, now, now);
    }

    /// Something waits for the peer to take it.
    pub(super) fn offered(&self) {
        let mut state = self.lock();
        if state.untaken == 0 {
            state.taken_at = Instant::now();
        }
        state.untaken += 1;
    }

    /// It was taken, or is dropped.
    pub(super) fn taken(&self) {
        let mut state = self.lock();
        state.untaken -= 1;
        state.taken_at = Instant::now();
    }

    /// Whether nothing waits for the peer to take it.
    pub(super) fn all_is_taken(&self) -> bool {
        self.lock().untaken == 0
    }

    fn deadline(&self) -> Option<(Instant, Overdue)> {
        let state = self.lock();
        let limit = if state.ending { self.limits.last_write } else { self.limits.write };
        let write = (state.untaken > 0).then(|| (state.taken_at + limit, Overdue::Write));
        let request = match (state.open, state.head_since) {
            (1.., _) => None,
            (0, Some(since)) => Some((since + self.limits.head, Overdue::Head)),
            (0, None) if !state.served => Some((state.idle_since + self.limits.head, Overdue::Head)),
            (0, None) => Some((state.idle_since + self.limits.idle, Overdue::Idle)),
        };
        [write, request].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Ends when a deadline has passed. It must be polled by the connection's own task, after the connection: an earlier
    /// deadline is noticed in that poll; a later one needs no timer update.
    pub(super) fn overdue<'a>(&'a self, alarm: &'a mut Alarm) -> impl Future<Output = Overdue> + 'a {
        poll_fn(move |cx| alarm.poll(self, cx))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The timer of a [`Flow`].
pub(super) struct Alarm(Pin<Box<Sleep>>);

impl Alarm {
    pub(super) fn new(flow: &Flow) -> Self {
        let at = flow.deadline().map_or_else(|| Instant::now() + Duration::from_secs(60), |(at, _)| at);
        Self(Box::pin(sleep_until(at)))
    }

    fn poll(&mut self, flow: &Flow, cx: &mut Context<'_>) -> Poll<Overdue> {
        loop {
            let Some((at, overdue)) = flow.deadline() else { return Poll::Pending };
            if at < self.0.deadline() || self.0.is_elapsed() {
                self.0.as_mut().reset(at);
            }
            std::task::ready!(self.0.as_mut().poll(cx));
            if Instant::now() >= at {
                return Poll::Ready(overdue);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        head: Duration::from_secs(10),
        idle: Duration::from_secs(75),
        body: Duration::from_secs(10),
        write: Duration::from_secs(60),
        last_write: Duration::from_secs(5),
    };

    async fn overdue(flow: &Flow) -> (Overdue, u64) {
        let began = Instant::now();
        let mut alarm = Alarm::new(flow);
        let overdue = flow.overdue(&mut alarm).await;
        (overdue, began.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn each_kind_of_wait_has_its_own_limit() {
        let flow = Flow::new(LIMITS);
        assert_eq!(overdue(&flow).await, (Overdue::Head, 10), "no first request");
        flow.opened();
        flow.closed();
        assert_eq!(overdue(&flow).await, (Overdue::Idle, 75), "no next request");
        flow.opened();
        flow.closed();
        flow.received(1);
        assert_eq!(overdue(&flow).await, (Overdue::Head, 10), "half a head");
        flow.opened();
        flow.offered();
        assert_eq!(overdue(&flow).await, (Overdue::Write, 60), "a response that is not read");
        flow.taken();
        flow.closed();
        flow.ending();
        assert_eq!(overdue(&flow).await, (Overdue::Head, 10), "closing");
        flow.opened();
        flow.offered();
        assert_eq!(overdue(&flow).await, (Overdue::Write, 5), "closing, and does not read");
    }

    #[tokio::test(start_paused = true)]
    async fn progress_moves_the_deadline_and_the_service_itself_has_none() {
        let flow = Flow::new(LIMITS);
        let mut alarm = Alarm::new(&flow);
        flow.opened();
        let long = tokio::time::timeout(Duration::from_secs(3_600), flow.overdue(&mut alarm)).await;
        assert!(long.is_err(), "the service has no deadline");
        for _ in 0..5 {
            flow.offered();
            tokio::time::advance(Duration::from_secs(50)).await;
            flow.taken();
        }
        flow.offered();
        assert_eq!(overdue(&flow).await, (Overdue::Write, 60));
    }
}
