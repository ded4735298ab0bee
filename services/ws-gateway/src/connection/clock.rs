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

/// How long before the end of its token a client is told.
const NOTICE: Duration = Duration::from_secs(60);

/// When things are due. One timer serves them all.
pub(super) struct Clock {
    pub(super) alarm: Pin<Box<Sleep>>,
    pub(super) mark_at: Instant,
    pub(super) ping_at: Instant,
    /// When the peer last sent something or took a byte.
    pub(super) alive_at: Instant,
    /// When the connection is so old that its client is asked to reconnect, so that clients spread over the gateways.
    pub(super) old_at: Option<Instant>,
    /// By when the client must have said who it is.
    pub(super) identified_by: Option<Instant>,
    /// When the client is told that its token ends.
    pub(super) notice_at: Option<Instant>,
    /// When its token ends.
    pub(super) over_at: Option<Instant>,
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
            identified_by: None,
            notice_at: None,
            over_at: None,
        }
    }

    /// The client's token ends after this time, or never.
    pub(super) fn set_end(&mut self, ends_in: Option<Duration>) {
        let now = Instant::now();
        self.identified_by = None;
        // an end that no clock can show is none
        self.over_at = ends_in.and_then(|time| now.checked_add(time));
        self.notice_at = self.over_at.map(|at| at.checked_sub(NOTICE).unwrap_or(now));
    }

    /// Sets the alarm to what is due first.
    pub(super) fn set_alarm(&mut self, timers: &Timers, session: Option<Instant>) {
        let gone_at = self.alive_at + timers.ping_every + timers.pong_deadline;
        let mut next = self.mark_at.min(self.ping_at).min(gone_at);
        let own = [self.old_at, self.identified_by, self.notice_at, self.over_at];
        for at in own.into_iter().chain([session]).flatten() {
            next = next.min(at);
        }
        if self.alarm.deadline() != next {
            self.alarm.as_mut().reset(next);
        }
    }
}
