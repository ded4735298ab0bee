//! The Redis stream between the leader and the gateways.
//!
//! The keys begin with `{rowcast:<database>}`, so that databases can share a Redis. An epoch has a stream of its own,
//! `…:stream:<epoch>`; its entries are runs of one tick's readings, with the id `<tick>-<last reading's id>`, the name of
//! the entry before (`p`), their provenance (`m`) and the readings (`r`). The stream `…:epochs` announces a new epoch to gateways that wait on an old one; the counter
//! `…:beat:<epoch>` grows while there is a leader, and `…:leader:<epoch>` holds its name. All of it can be lost: the leader
//! restores it from Postgres. `…:ticket:<hash>` holds for whom a ticket was made, for the seconds until it is used; a client whose
//! ticket was lost asks for another.

mod append;
mod config;
mod connect;
mod entry_id;
mod error;
mod fault;
mod memory;
mod metrics;
mod tail;
mod tickets;

pub use append::{Append, Appender, End, LastLeader, NewEntry};
pub use config::RedisConfig;
pub use connect::Options;
pub use entry_id::EntryId;
pub use error::{Error, Refusal, Result};
pub use fault::Fault;
pub use memory::{Memory, MemoryFault, NEEDED_BYTES};
pub use metrics::Metrics;
pub use tail::{Read, StreamEntry, Tail};
pub use tickets::Tickets;
