//! The Redis stream between the leader and the gateways.
//!
//! An epoch has a stream of its own, `{rowcast}:stream:<epoch>`; its entries are runs of one tick's readings, with
//! the id `<tick>-<last reading's id>` and the name of the entry before. The stream `{rowcast}:epochs` tells gateways
//! of a new epoch while they wait on an old one; the counter `{rowcast}:beat` that a leader is there at all. All of it can be lost: the leader makes it again from Postgres.

pub mod append;
pub mod config;
pub mod connect;
pub mod entry_id;
pub mod tail;

pub use append::{Append, Appender, NewEntry};
pub use config::{Fault, RedisConfig};
pub use connect::Options;
pub use entry_id::EntryId;
pub use tail::{Read, StreamEntry, Tail};

/// A failure of Redis or of the way to it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server said no, or the connection broke.
    #[error("redis failed")]
    Redis(#[from] redis::RedisError),
    /// The server said nothing in time.
    #[error("redis did not answer in time")]
    Silent,
    /// The server said what no stream of ours says.
    #[error("an unexpected reply: {0}")]
    Reply(&'static str),
}

/// What a bus operation gives.
pub type Result<T> = std::result::Result<T, Error>;
