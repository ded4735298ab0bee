//! The deadlines of a peer.

use std::time::Duration;

/// How long a client may take; fixed in a service, shorter in a test.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// For its first request, and from the first byte of a head to its end.
    pub(crate) head: Duration,
    /// From a response to the next request.
    pub(crate) idle: Duration,
    /// For a request's whole body, from its head on.
    pub(crate) body: Duration,
    /// For taking the next byte of a response.
    pub(crate) write: Duration,
    /// The same once the service stops; well within the drain.
    pub(crate) last_write: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let [head, idle, body, write, last_write] = [10, 75, 10, 60, 5].map(Duration::from_secs);
        Self { head, idle, body, write, last_write }
    }
}

/// Which deadline has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// The first byte, the handshake, or the rest of a head.
    Head,
    /// The next request.
    Idle,
    /// The next byte of a response, to be taken.
    Write,
}

impl Overdue {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Head, Self::Idle, Self::Write];

    /// The label in metrics and logs.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Idle => "idle",
            Self::Write => "write",
        }
    }
}
