//! The messages between Rowcast's processes and to its clients: pure data, without IO or a clock.

pub mod close;
pub mod command;
mod empty;
pub mod entry;
pub mod error;
pub mod filter;
pub mod frame;
pub mod position;
pub mod provenance;
pub mod reading;
pub mod resume;
pub mod stamp;
pub mod trace;

pub use close::Close;
pub use command::{Command, Mode, Start, Subscribe, Verb};
pub use empty::Empty;
pub use entry::{Entry, EntryBuilder};
pub use error::{ErrorCode, Refusal};
pub use filter::{Filter, Pattern, split_patterns};
pub use frame::ServerMessage;
pub use position::{Epoch, Position, Tick};
pub use provenance::Provenance;
pub use reading::{Reading, SENSOR_ID_MAX};
pub use resume::Resume;
pub use trace::TraceParent;

/// The WebSocket subprotocol of v1.
pub const SUBPROTOCOL: &str = "rowcast.v1";
