//! When a connection has something to do though no event comes.

use std::{pin::Pin, time::Duration};

use tokio::time::{Instant, Sleep, sleep};

use crate::{
    config::Timers,
    jitter::{SPREAD_MS, spread},
    session::IDLE_MS,
};

/// How often marks are sent: at least every `idle_ms`, with room for a slow moment.
pub(super) const HEARTBEAT: Duration = Duration::from_millis(IDLE_MS * 2 / 3);

/// When things are due. One timer serves them all.
pub(super) struct Clock {
    pub(super) alarm: Pin<Box<Sleep>>,
    pub(super) mark_at: Instant,
    pub(super) ping_at: Instant,
    /// When the peer last sent something or took a byte.
    pub(super) alive_at: Instant,
    /// When the connection is so old that its client is asked to reconnect, so that clients spread over the gateways.
    pub(super) old_at: Option<Instant>,
}

impl Clock {
    pub(super) fn start(timers: &Timers, session: u64) -> Self {
        let now = Instant::now();
        // ages differ by a fifth, so that connections that began together do not end together
        let jitter = 0.9 + 0.2 * spread(session) as f64 / SPREAD_MS as f64;
        Self {
            alarm: Box::pin(sleep(HEARTBEAT)),
            mark_at: now + HEARTBEAT,
            ping_at: now + timers.ping_every,
            alive_at: now,
            old_at: timers.max_age.map(|age| now + age.mul_f64(jitter)),
        }
    }

    /// Sets the alarm to what is due first.
    pub(super) fn set_alarm(&mut self, timers: &Timers, session: Option<Instant>) {
        let gone_at = self.alive_at + timers.ping_every + timers.pong_deadline;
        let mut next = self.mark_at.min(self.ping_at).min(gone_at);
        for at in [session, self.old_at].into_iter().flatten() {
            next = next.min(at);
        }
        if self.alarm.deadline() != next {
            self.alarm.as_mut().reset(next);
        }
    }
}
