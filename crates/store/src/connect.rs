//! Ways to the database: a pool for the many, single connections for the leader and for writers.

use std::time::Duration;

use sqlx::{
    ConnectOptions, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{DatabaseConfig, Error, Result, config::Fault};

/// How long a new connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How to reach the database.
#[derive(Clone)]
pub struct Options {
    pg: PgConnectOptions,
}

impl Options {
    /// From a URL alone; `application` is what `pg_stat_activity` shows.
    ///
    /// # Errors
    /// When the URL is not one of Postgres.
    pub fn new(url: &str, application: &str) -> std::result::Result<Self, Fault> {
        DatabaseConfig::at(url).options(application)
    }

    pub(crate) fn with(pg: PgConnectOptions, application: &str) -> Self {
        Self { pg: pg.application_name(application).log_statements(tracing::log::LevelFilter::Off) }
    }

    /// Statements on these connections are cancelled by the server after `limit`.
    #[must_use]
    pub fn statement_timeout(self, limit: Duration) -> Self {
        Self { pg: self.pg.options([("statement_timeout", limit.as_millis().to_string())]) }
    }

    /// Each statement is planned for its own values: a plan for any value could not know that a range is narrow.
    #[must_use]
    pub fn planned_anew(self) -> Self {
        Self { pg: self.pg.options([("plan_cache_mode", "force_custom_plan")]) }
    }

    /// Commits on these connections wait for the disk, whatever the database's default says.
    #[must_use]
    pub fn durable(self) -> Self {
        Self { pg: self.pg.options([("synchronous_commit", "on")]) }
    }

    /// Notices of these connections do not reach the log.
    #[must_use]
    pub(crate) fn quiet(self) -> Self {
        Self { pg: self.pg.options([("client_min_messages", "warning")]) }
    }

    /// One connection of its own.
    pub async fn connect(&self) -> Result<PgConnection> {
        match tokio::time::timeout(CONNECT_TIMEOUT, self.pg.connect()).await {
            Ok(connected) => Ok(connected?),
            Err(_) => Err(Error(sqlx::Error::PoolTimedOut)),
        }
    }

    pub(crate) fn pool(&self, size: u32) -> PgPool {
        PgPoolOptions::new()
            .max_connections(size)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_lazy_with(self.pg.clone())
    }
}

/// A pool of connections for readers. It connects when first used and again after a loss.
#[derive(Clone)]
pub struct Database {
    pub(crate) pool: PgPool,
}

impl Database {
    /// A pool of at most `size` connections.
    pub fn new(options: &Options, size: u32) -> Self {
        Self { pool: options.pool(size) }
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// What a failure means for whoever set the database up; the driver's own words follow it as its source.
pub(crate) fn sentence(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::Io(why) if is_unknown_name(why) => "the database's host is not known",
        sqlx::Error::Io(_) => "the database cannot be reached",
        sqlx::Error::PoolTimedOut => "the database does not answer",
        sqlx::Error::Tls(_) => "no TLS with the database that can be trusted",
        sqlx::Error::Database(told) => match told.code().as_deref() {
            Some("28P01" | "28000") => "the database refuses the user or the password",
            Some("3D000") => "there is no such database",
            Some("42501") => "the database's user may not do that",
            Some("53300") => "the database has no connection left",
            _ => "the database failed",
        },
        _ => "the database failed",
    }
}

/// The resolver's errors have no kind of their own.
fn is_unknown_name(why: &std::io::Error) -> bool {
    why.to_string().starts_with("failed to lookup address information")
}
