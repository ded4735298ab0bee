//! What can go wrong with Redis, in words that name the keys and what to do.

use redis::RedisError;

/// What a bus operation gives.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure of Redis or of the way to it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection broke, or the server said no for a reason of its own.
    #[error("redis error")]
    Redis(#[from] RedisError),
    /// The server refuses what is asked of these keys, and will again.
    #[error("redis refuses {keys}: {}", .why.words())]
    Refused {
        /// What the command was about.
        keys: String,
        /// Why, as far as the server says.
        why: Refusal,
        /// What it said.
        #[source]
        source: RedisError,
    },
    /// Somebody else's key has our name, or a history of the database that this one does not have.
    #[error(
        "{key} names epoch {epoch}, which this database does not have: it is a lagging replica, a former primary, or another database uses the key"
    )]
    ForeignEpoch {
        /// The stream of epochs.
        key: String,
        /// The epoch that it names.
        epoch: i64,
    },
    /// The server said nothing in time.
    #[error("redis did not answer in time")]
    Silent,
    /// The server said what no stream of ours says.
    #[error("unexpected reply: {0}")]
    Reply(&'static str),
}

/// Why the server refuses a command that is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The user's ACL.
    NoPermission,
    /// Something else lies under the key.
    WrongType,
    /// The server is a replica.
    ReadOnly,
    /// A cluster's node that does not hold the key.
    Elsewhere,
    /// `maxmemory` is reached, and nothing may be evicted.
    Full,
    /// The server cannot save, and therefore takes nothing.
    CannotSave,
}

impl Refusal {
    const ALL: [(&'static str, Self); 8] = [
        ("NOPERM", Self::NoPermission),
        ("WRONGTYPE", Self::WrongType),
        ("READONLY", Self::ReadOnly),
        ("MOVED", Self::Elsewhere),
        ("ASK", Self::Elsewhere),
        ("CLUSTERDOWN", Self::Elsewhere),
        ("OOM", Self::Full),
        ("MISCONF", Self::CannotSave),
    ];

    const fn words(self) -> &'static str {
        match self {
            Self::NoPermission => {
                "the user has no permission for the command or the keys (NOPERM, see ACL SETUSER)"
            }
            Self::WrongType => {
                "a key holds a value of another type (WRONGTYPE): something else uses its name"
            }
            Self::ReadOnly => "this server is a read-only replica (READONLY)",
            Self::Elsewhere => {
                "this is a node of a Redis Cluster that does not hold the keys (MOVED): give the address of the node that does"
            }
            Self::Full => "maxmemory is too small for the stream (OOM)",
            Self::CannotSave => "the server cannot save to its disk (MISCONF)",
        }
    }

    /// A script's error may carry the code inside its text.
    fn of(error: &RedisError) -> Option<Self> {
        let text = error.to_string();
        let said = |code: &str| {
            error.code() == Some(code)
                || text.split(|c: char| !c.is_ascii_uppercase()).any(|word| word == code)
        };
        Self::ALL.into_iter().find_map(|(code, refusal)| said(code).then_some(refusal))
    }
}

impl Error {
    /// What the server answered to a command about these keys.
    pub(crate) fn about(keys: &[&str], source: RedisError) -> Self {
        match Refusal::of(&source) {
            Some(why) => Self::Refused { keys: keys.join(", "), why, source },
            None => Self::Redis(source),
        }
    }
}
