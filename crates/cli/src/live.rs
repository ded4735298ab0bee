//! A v1 client across its connections: what it sends, what messages mean, when to reconnect and from where.

pub(crate) mod connection;

use std::time::Duration;

use wire::{Close, Command, Position, ServerMessage, Start, Subscribe, Verb, close::Next, frame::Gap};

/// The first wait is up to this long; each failed attempt doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// No wait is longer, whatever the attempt or the gateway asks for.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Without data for this long, a connection is given up; `hello` sets another time.
const SILENCE_BEFORE_HELLO: Duration = Duration::from_secs(10);

/// One subscription that outlives its connections. It sees no socket, no clock and no random numbers.
#[derive(Debug)]
pub(crate) struct Live {
    /// The subscription of the next connection; its start advances.
    subscribe: Subscribe,
    attempt: u32,
    silence: Duration,
    reconnect_in: Option<Duration>,
    ever_attached: bool,
    /// As in the last mark, on whichever connection.
    stale: bool,
}

/// What a message means for the caller.
#[derive(Debug)]
pub(crate) enum Received {
    /// Nothing for the caller.
    Nothing,
    /// A reading's JSON, with its position unless it is of a snapshot or of mode `latest`.
    Reading {
        /// Where to resume after it.
        pos: Option<Position>,
        /// How many older ones were left out before it.
        merged: Option<u64>,
        /// The object.
        data: Box<serde_json::value::RawValue>,
    },
    /// Readings are missing.
    Gap(Gap),
    /// The subscription is attached.
    Attached,
    /// From now on readings may be late, or are no more.
    Stale(bool),
    /// The gateway refuses the subscription.
    Refused(String),
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// No connection could be opened.
    Unreachable(String),
    /// The gateway answered the handshake with this HTTP status.
    Status(u16),
    /// The gateway closed with a code.
    Closed(u16, String),
    /// The connection was lost.
    Broken(String),
    /// No data came for too long.
    Silent,
}

/// What to do after a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Connect again after the wait.
    Wait(Duration),
    /// Readings may be missing: connect again after the wait, from a snapshot.
    Snapshot(Duration),
    /// Give up.
    Stop,
}

impl Live {
    /// A subscription to every reading of these sensors, none for all.
    pub(crate) fn new(sensors: Vec<String>, from: Start) -> Self {
        let sensors = if sensors.is_empty() { None } else { Some(sensors) };
        Self::of(Subscribe { sensors, from, ..Subscribe::default() })
    }

    /// This subscription.
    pub(crate) fn of(subscribe: Subscribe) -> Self {
        Self {
            subscribe,
            attempt: 0,
            silence: SILENCE_BEFORE_HELLO,
            reconnect_in: None,
            ever_attached: false,
            stale: false,
        }
    }

    /// Where the next connection resumes, once there is something to resume.
    pub(crate) fn position(&self) -> Option<Position> {
        match self.subscribe.from {
            Start::After(pos) => Some(pos),
            Start::Now | Start::Latest | Start::Last(_) => None,
        }
    }

    /// A connection is open: the first message, which subscribes from the last position.
    pub(crate) fn on_open(&mut self) -> String {
        self.silence = SILENCE_BEFORE_HELLO;
        Command { id: Some(1), verb: Verb::Subscribe(self.subscribe.clone()) }.to_json()
    }

    /// A message came.
    pub(crate) fn on_message(&mut self, message: ServerMessage) -> Received {
        if let Some(hello) = &message.hello {
            self.silence = 2 * Duration::from_millis(hello.idle_ms);
            return Received::Nothing;
        }
        if let Some(bye) = &message.bye {
            self.reconnect_in = bye.after_ms.map(Duration::from_millis);
            return Received::Nothing;
        }
        if let Some(error) = message.error {
            return Received::Refused(format!("{}: {}", error.code, error.message));
        }
        if let Some(attached) = &message.ok {
            (self.attempt, self.ever_attached, self.reconnect_in) = (0, true, None);
            self.resume_after(attached.pos);
            return Received::Attached;
        }
        if let Some(gap) = message.gap {
            self.resume_after(Some(gap.to));
            return Received::Gap(gap);
        }
        self.resume_after(message.live.map(|live| live.pos));
        if let Some(mark) = message.mark {
            self.resume_after(Some(mark.pos));
            let before = std::mem::replace(&mut self.stale, mark.stale);
            return if before == mark.stale { Received::Nothing } else { Received::Stale(mark.stale) };
        }
        let (pos, merged) = (message.pos, message.merged);
        self.resume_after(pos);
        message.data.map_or(Received::Nothing, |data| Received::Reading { pos, merged, data })
    }

    fn resume_after(&mut self, pos: Option<Position>) {
        if let Some(pos) = pos {
            self.subscribe.from = Start::After(pos);
        }
    }

    /// The connection ended, or there was none. `random` is uniform in [0, 1).
    pub(crate) fn on_end(&mut self, why: &Ended, random: f64) -> After {
        let planned = self.reconnect_in.take().map(|wait| wait.min(LONGEST_WAIT));
        let wait = planned.unwrap_or_else(|| self.back_off(random));
        match why {
            Ended::Status(429 | 408) => After::Wait(wait),
            Ended::Status(400..=499) if !self.ever_attached => After::Stop,
            Ended::Closed(code, _) => match Close::from_code(*code) {
                // 1000 in the table is the client's own close: from the gateway it is only an end
                Some(Close::Normal) | None => After::Wait(wait),
                Some(close) => match close.next() {
                    Next::Resume | Next::BackOff => After::Wait(wait),
                    Next::Snapshot => {
                        self.subscribe.from = Start::Latest;
                        After::Snapshot(wait)
                    }
                    Next::Stop | Next::Authenticate => After::Stop,
                },
            },
            _ => After::Wait(wait),
        }
    }

    /// Full jitter: <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>
    fn back_off(&mut self, random: f64) -> Duration {
        let ceiling = FIRST_WAIT.saturating_mul(1 << self.attempt.min(16)).min(LONGEST_WAIT);
        self.attempt = self.attempt.saturating_add(1);
        ceiling.mul_f64(random)
    }

    /// A connection that is silent for longer is dead: twice what the gateway promised.
    pub(crate) fn silence(&self) -> Duration {
        self.silence
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "the gateway is unreachable: {why}"),
            Self::Status(status) => write!(f, "the gateway answered with HTTP {status}"),
            Self::Closed(code, reason) if reason.is_empty() => write!(f, "the gateway closed with {code}"),
            Self::Closed(code, reason) => write!(f, "the gateway closed with {code} ({reason})"),
            Self::Broken(why) => write!(f, "connection lost: {why}"),
            Self::Silent => f.write_str("timed out: no data from the gateway"),
        }
    }
}

#[cfg(test)]
mod tests;
