//! The errors of Redis, whose texts name the keys and what to do.

use redis::RedisError;

/// The result of a bus operation.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure of Redis or of the connection to it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection broke, or the server refused for another reason.
    #[error("redis error")]
    Redis(#[from] RedisError),
    /// The server refuses commands on these keys, and will refuse a retry.
    #[error("redis refuses {keys}: {}", .why.text())]
    Refused {
        /// The keys of the command.
        keys: String,
        /// The reason, as far as the server gives one.
        why: Refusal,
        /// The server's error.
        #[source]
        source: RedisError,
    },
    /// The key belongs to another installation, or to a history that this database does not have.
    #[error(
        "{key} names epoch {epoch}, which this database does not have: it is a lagging replica, a former primary, or another database uses the key"
    )]
    ForeignEpoch {
        /// The stream of epochs.
        key: String,
        /// The epoch that it names.
        epoch: i64,
    },
    /// The server did not answer in time.
    #[error("redis did not answer in time")]
    Silent,
    /// The server's reply is not one that our streams can have.
    #[error("unexpected reply: {0}")]
    Reply(&'static str),
}

/// Why the server refuses a valid command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The user's ACL.
    NoPermission,
    /// The key holds a value of another type.
    WrongType,
    /// The server is a replica.
    ReadOnly,
    /// A cluster's node that does not hold the key.
    Elsewhere,
    /// `maxmemory` is reached, and nothing may be evicted.
    Full,
    /// The server cannot save to its disk, and therefore refuses writes.
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

    const fn text(self) -> &'static str {
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
        let has = |code: &str| {
            error.code() == Some(code)
                || text.split(|c: char| !c.is_ascii_uppercase()).any(|word| word == code)
        };
        Self::ALL.into_iter().find_map(|(code, refusal)| has(code).then_some(refusal))
    }
}

impl Error {
    /// The error of a command on these keys.
    pub(crate) fn about(keys: &[&str], source: RedisError) -> Self {
        match Refusal::of(&source) {
            Some(why) => Self::Refused { keys: keys.join(", "), why, source },
            None => Self::Redis(source),
        }
    }
}
