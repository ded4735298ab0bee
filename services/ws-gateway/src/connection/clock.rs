//! When a connection has something to do that nobody brings.

use std::{pin::Pin, time::Duration};

use tokio::time::{Instant, Sleep, sleep};

use crate::{config::Patience, drain, session::IDLE_MS};

/// How often the session's heartbeat beats: marks at least every `idle_ms`, with room for a slow moment.
pub(super) const HEARTBEAT: Duration = Duration::from_millis(IDLE_MS * 2 / 3);

/// When things are due. One timer serves them all.
pub(super) struct Clock {
    pub(super) alarm: Pin<Box<Sleep>>,
    pub(super) mark_at: Instant,
    pub(super) ping_at: Instant,
    /// When the peer last said something or took a byte.
    pub(super) alive_at: Instant,
    /// When the connection is so old that it must make room for a balance over gateways.
    pub(super) old_at: Option<Instant>,
}

impl Clock {
    pub(super) fn start(patience: &Patience, session: u64) -> Self {
        let now = Instant::now();
        // ages differ by a fifth, so that connections that began together do not end together
        let jitter = 0.9 + 0.2 * drain::spread(session) as f64 / drain::COME_BACK_WITHIN_MS as f64;
        Self {
            alarm: Box::pin(sleep(HEARTBEAT)),
            mark_at: now + HEARTBEAT,
            ping_at: now + patience.ping_every,
            alive_at: now,
            old_at: patience.max_age.map(|age| now + age.mul_f64(jitter)),
        }
    }

    /// Sets the timer to what is due first.
    pub(super) fn wind(&mut self, patience: &Patience, session: Option<Instant>) {
        let gone_at = self.alive_at + patience.ping_every + patience.pong_deadline;
        let mut next = self.mark_at.min(self.ping_at).min(gone_at);
        for at in [session, self.old_at].into_iter().flatten() {
            next = next.min(at);
        }
        if self.alarm.deadline() != next {
            self.alarm.as_mut().reset(next);
        }
    }
}
