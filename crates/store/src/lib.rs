//! All of Rowcast's SQL: the schema, readings in and out, ticks and the log they make.

pub mod config;
pub mod connect;
mod deadline;
pub mod error;
mod extent;
pub mod fault;
pub mod history;
mod hosts;
pub mod latest;
pub mod leader;
pub mod log;
pub mod log_status;
pub mod notifications;
pub mod pool;
pub mod pooler;
pub mod readings;
pub mod schema;
mod session;
pub mod snapshot;

pub use config::DatabaseConfig;
pub use connect::Options;
pub use error::{Error, Result};
pub use fault::Fault;
pub use latest::Latest;
pub use leader::{Advance, Leader, Loaded};
pub use log::{Budget, Page, ReadError};
pub use log_status::LogStatus;
pub use notifications::Notifications;
pub use pool::Database;
pub use pooler::Pooler;
pub use readings::{Inserter, NewReading, StoredReading, StoredReadings};
pub use schema::{Migrated, SchemaError};
