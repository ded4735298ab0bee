//! From the stream to the sessions that want a reading: the live feed, its recent past, and replay from the log.

mod audit;
pub mod batch;
pub(crate) mod feed;
pub mod hub;
mod interest;
mod lock;
pub(crate) mod log;
pub mod mailbox;
pub(crate) mod replay;
pub mod selection;
pub mod snapshot;
mod window;
