//! Why a command is refused: one table of stable codes.

use std::borrow::Cow;

macro_rules! error_codes {
    ($($(#[doc = $doc:literal])* $name:ident = $word:literal $retry:literal;)*) => {
        /// Every refusal of a command; the connection stays open.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ErrorCode { $($(#[doc = $doc])* $name),* }

        impl ErrorCode {
            /// All rows of the table.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable code in `error`.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }

            /// Whether the same command may succeed later.
            pub const fn retry(self) -> bool {
                match self { $(Self::$name => $retry),* }
            }

            /// The meaning, for the documents.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*)),* }
            }
        }
    };
}

error_codes! {
    /// A body that does not fit its verb.
    BadCommand = "bad-command" false;
    /// `from` is not a position, or one that the log has not reached.
    BadPosition = "bad-position" false;
    /// A pattern that no sensor id could match.
    BadPattern = "bad-pattern" false;
    /// More patterns than `limits.patterns`.
    TooManyPatterns = "too-many-patterns" false;
    /// More subscriptions than `limits.subscriptions`.
    TooManySubscriptions = "too-many-subscriptions" false;
    /// More commands, or more history, than the rate of the client's subject allows: `after_ms` says when the same is admitted.
    TooManyRequests = "too-many-requests" true;
    /// The memory for patterns of all clients is full.
    Busy = "busy" true;
    /// No subscription of this number.
    UnknownSubscription = "unknown-subscription" false;
    /// Not a verb of this protocol.
    UnknownVerb = "unknown-verb" false;
    /// The database can never answer what the subscription needs to start.
    Unreadable = "unreadable" false;
    /// Authentication is not enabled.
    AuthNotAsked = "auth-not-asked" false;
    /// The token in `auth` is not valid. The one before stays in force.
    BadToken = "bad-token" false;
    /// The token in `auth` is valid, but may not read, or belongs to another subject than the one before, which stays in force.
    Forbidden = "forbidden" false;
}

/// The refusal of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The stable code.
    pub code: ErrorCode,
    /// A sentence for people.
    pub message: String,
    /// In so many milliseconds the same command is admitted, if nothing else is until then.
    pub after_ms: Option<u64>,
}

impl Refusal {
    /// A code with its sentence.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), after_ms: None }
    }

    /// The same, which is over after so many milliseconds.
    #[must_use]
    pub fn over_after(self, ms: u64) -> Self {
        Self { after_ms: Some(ms), ..self }
    }
}

/// The most characters of a client's text that an answer repeats.
const REPEATED: usize = 80;

/// A client's text of any length, shortened to be repeated in an answer.
pub fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(REPEATED) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}
