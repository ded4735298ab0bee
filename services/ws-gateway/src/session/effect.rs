//! What a session needs of the connection around it.

use std::{fmt, sync::Arc, time::Duration};

use wire::{Close, Filter, Position};

/// A token, which no log line shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub(crate) String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// What is to be done. Each but the last two is answered by a call of one of the session's `on_…`.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Attach a subscription to the hub, behind a position or at the head.
    Attach {
        /// Its number.
        sub: u32,
        /// What it wants.
        filter: Arc<Filter>,
        /// Behind this; none: at the head.
        after: Option<Position>,
    },
    /// Ask the log whether it can be read on from a position.
    Resolve {
        /// For this subscription.
        sub: u32,
        /// The position.
        from: Position,
        /// Whether its client has had no answer yet: only then can it be refused because the position is ahead.
        first: bool,
    },
    /// Ask the log for the position of a time before now.
    Since {
        /// For this subscription.
        sub: u32,
        /// How long before now.
        last: Duration,
    },
    /// Read the log on.
    Read {
        /// For this subscription.
        sub: u32,
        /// Behind this.
        after: Position,
    },
    /// Read the newest reading of each sensor, a page of sensors at a time.
    Snapshot {
        /// For this subscription.
        sub: u32,
        /// What it wants.
        filter: Arc<Filter>,
        /// As of this; none: as of now, which the first page defines.
        at: Option<Position>,
        /// Of the sensors behind this one.
        after: Option<String>,
    },
    /// Check the token of the client.
    Identify {
        /// The token.
        token: Token,
    },
    /// End a subscription in the hub.
    Detach {
        /// Its number.
        sub: u32,
    },
    /// End the connection, after what is in the outbox.
    Close(Close),
}
