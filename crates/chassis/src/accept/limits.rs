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

instruments::labels! {
    /// Which deadline has passed.
    pub(crate) enum Overdue {
        /// The first byte, the handshake, or the rest of a head.
        Head = "head",
        /// The next request.
        Idle = "idle",
        /// The next byte of a response, to be taken.
        Write = "write",
    }
}
