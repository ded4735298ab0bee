//! Why a socket is closed: one table of codes, each with what the client should do next.

/// What a client should do after a close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Reconnect after `after_ms` and resume from the last position.
    Resume,
    /// Reconnect with increasing delays, then resume.
    BackOff,
    /// Take a snapshot: the log no longer reaches back to the position.
    Snapshot,
    /// Reconnect with a valid token, then resume.
    Authenticate,
    /// Do not repeat what was sent.
    Stop,
}

macro_rules! close_codes {
    ($($(#[doc = $doc:literal])* $name:ident = $code:literal $reason:literal $next:ident;)*) => {
        /// Every reason for the close of a socket.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Close { $($(#[doc = $doc])* $name),* }

        impl Close {
            /// All rows of the table, in the order of their codes.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The WebSocket close code.
            pub const fn code(self) -> u16 {
                match self { $(Self::$name => $code),* }
            }

            /// The stable reason in `bye`, the close frame, logs and metrics.
            pub const fn reason(self) -> &'static str {
                match self { $(Self::$name => $reason),* }
            }

            /// The meaning, for the documents.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*)),* }
            }

            /// What the client should do.
            pub const fn next(self) -> Next {
                match self { $(Self::$name => Next::$next),* }
            }
        }
    };
}

close_codes! {
    /// The client's own close.
    Normal = 1000 "normal" Stop;
    /// The connection has reached its age; any gateway continues.
    GoingAway = 1001 "going-away" Resume;
    /// Broken WebSocket framing.
    Protocol = 1002 "protocol-error" Stop;
    /// A binary message, where only text is permitted.
    Binary = 1003 "text-only" Stop;
    /// A text message that is not UTF-8.
    NotUtf8 = 1007 "not-utf8" Stop;
    /// A message in more fragments than the limit in `hello`, or one of more than 4 KiB that was not complete after 10 s.
    Policy = 1008 "policy" Stop;
    /// A message larger than the limit in `hello`.
    TooBig = 1009 "message-too-big" Stop;
    /// This gateway is being replaced; any other one continues.
    Drain = 1012 "drain" Resume;
    /// The gateway lost its feed or cannot read the log.
    Overloaded = 1013 "overloaded" BackOff;
    /// Not JSON, or no message of the protocol.
    BadMessage = 4400 "bad-message" Stop;
    /// The client is not authenticated, or its token has expired.
    Unauthenticated = 4401 "not-authenticated" Authenticate;
    /// The client is authenticated but not authorized.
    Forbidden = 4403 "forbidden" Stop;
    /// The client reads so slowly that retention has passed it, and its protocol has no message for a gap.
    TooSlow = 4408 "too-slow" Snapshot;
    /// The peer stopped reading and answering pings.
    NoPong = 4409 "no-pong" BackOff;
    /// More commands than the limit in `hello`.
    TooMany = 4429 "too-many" BackOff;
}

impl Close {
    /// The row of a code, if the table has it.
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|close| close.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_reasons_are_unique_and_fit_a_close_frame() {
        for close in Close::ALL {
            assert_eq!(Close::from_code(close.code()), Some(*close));
            assert_eq!(Close::ALL.iter().filter(|other| other.reason() == close.reason()).count(), 1);
            assert!(close.reason().len() <= 123, "RFC 6455 bounds a control frame to 125 bytes");
        }
    }

    #[test]
    fn a_drain_has_not_the_code_after_which_the_demo_s_page_does_not_reconnect() {
        assert_ne!(Close::Drain.code(), 1000);
        assert_eq!(Close::Drain.next(), Next::Resume);
    }
}
