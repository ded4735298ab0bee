//! All of Rowcast's SQL: the schema, readings in and out, ticks and the log they make.

mod config;
mod connect;
mod deadline;
mod error;
mod extent;
mod fault;
pub mod history;
mod hosts;
mod interval;
pub mod latest;
mod leader;
pub mod log;
mod log_status;
mod metrics;
mod notifications;
mod patterns;
mod pool;
mod pooler;
pub mod readings;
pub mod schema;
mod session;
mod snapshot;

pub use config::DatabaseConfig;
pub use connect::Options;
pub use error::{Error, Result};
pub use fault::Fault;
pub use latest::Latest;
pub use leader::{Advance, Leader, Loaded};
pub use log::{Budget, Page, ReadError};
pub use log_status::LogStatus;
pub use metrics::{Metrics, NotificationMetrics};
pub use notifications::Notifications;
pub use pool::Database;
pub use pooler::Pooler;
pub use readings::{Inserter, NewReading, StoredReading, StoredReadings};
pub use schema::{Migrated, SchemaError};
