//! Ways to the database: a pool for the many, single connections for the leader and for writers.

use std::{str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sqlx::{
    ConnectOptions, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{Error, Result};

/// How long a new connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The section `database` of a service.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `postgres://user:password@host:5432/database`: the primary. Only ingest may have a pooler before it.
    pub url: SecretString,
}

impl DatabaseConfig {
    /// How to reach it; `application` is what `pg_stat_activity` shows.
    pub fn options(&self, application: &str) -> std::result::Result<Options, BadUrl> {
        Options::new(self.url.expose_secret(), application)
    }
}

/// How to reach the database.
#[derive(Clone)]
pub struct Options {
    pg: PgConnectOptions,
}

/// The URL is not one of Postgres.
#[derive(Debug, thiserror::Error)]
#[error("not a Postgres URL (postgres://user:password@host:5432/database)")]
pub struct BadUrl;

impl Options {
    /// From a URL; `application` is what `pg_stat_activity` shows.
    pub fn new(url: &str, application: &str) -> std::result::Result<Self, BadUrl> {
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err(BadUrl);
        }
        let pg = PgConnectOptions::from_str(url).map_err(|_| BadUrl)?;
        Ok(Self { pg: pg.application_name(application).log_statements(tracing::log::LevelFilter::Off) })
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
