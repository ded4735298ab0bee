//! All of Rowcast's SQL: the schema, readings in and out, ticks and the log they make.

pub mod config;
pub mod connect;
pub mod doorbell;
mod extent;
pub mod history;
mod hosts;
pub mod latest;
pub mod leader;
pub mod log;
pub mod outlook;
pub mod pool;
pub mod readings;
pub mod schema;
mod session;
pub mod snapshot;

pub use config::{DatabaseConfig, Pooler};
pub use connect::Options;
pub use doorbell::Doorbell;
pub use latest::Latest;
pub use leader::{Advance, Leader, Loaded};
pub use log::{Budget, Page, ReadError};
pub use outlook::Outlook;
pub use pool::Database;
pub use readings::{Inserter, NewReading, StoredReading, StoredReadings};
pub use schema::{Migrated, SchemaError};

/// A failure of Postgres, of the way to it, or of a statement.
#[derive(Debug, thiserror::Error)]
#[error("{}", connect::sentence(.0))]
pub struct Error(#[from] sqlx::Error);

impl Error {
    /// Whether the statement's data was at fault and not the database: repeating it fails again.
    pub fn blames_data(&self) -> bool {
        self.class().is_some_and(|class| class == "22" || class == "23")
    }

    /// Whether a row with the same key was there first.
    pub fn is_conflict(&self) -> bool {
        self.0.as_database_error().is_some_and(|e| e.is_unique_violation())
    }

    /// Whether the server cancelled the statement because it took too long.
    pub fn is_timeout(&self) -> bool {
        self.0.as_database_error().is_some_and(|e| e.code().as_deref() == Some("57014"))
    }

    /// Whether the same statement with the same values will fail again: its values or its text are at fault, or what
    /// this user may do.
    pub fn is_permanent(&self) -> bool {
        const PERMANENT: [&str; 4] = ["0A", "22", "23", "42"];
        self.class().is_some_and(|class| PERMANENT.contains(&class.as_str()))
    }

    /// Whether the server itself answered so, on a connection that still works.
    pub(crate) fn is_answer(&self) -> bool {
        // 57P0x: it ends the connection with its answer
        self.code().is_some_and(|code| !code.starts_with("57P"))
    }

    /// The constraint that the data does not fit.
    pub fn constraint(&self) -> Option<&str> {
        self.0.as_database_error()?.constraint()
    }

    pub(crate) fn code(&self) -> Option<String> {
        Some(self.0.as_database_error()?.code()?.into_owned())
    }

    /// The first two characters of the SQLSTATE.
    fn class(&self) -> Option<String> {
        self.code()?.get(..2).map(str::to_owned)
    }
}

/// What a store operation gives.
pub type Result<T> = std::result::Result<T, Error>;
