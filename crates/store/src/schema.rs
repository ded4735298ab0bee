//! The schema's version: migrating a database to it, and checking it.

use std::{collections::HashSet, time::Duration};

use sqlx::{
    Connection, PgConnection,
    migrate::{Migrate, Migrator},
};
use tokio::time::Instant;

use crate::{
    connect::Options,
    deadline::within,
    error::{Error, Result},
    metrics::Statement,
    pool::Database,
    session::Session,
};

const MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// The advisory lock under which one migrator runs at a time ("rowcast" as ASCII).
const MIGRATION_LOCK: i64 = 0x72_6f77_6361_7374;

/// The interval between attempts to connect or to take the lock.
const RETRY: Duration = Duration::from_millis(250);

/// The result of a migration run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The versions and names applied by this run.
    pub applied: Vec<(i64, String)>,
    /// The schema's version now.
    pub version: i64,
    /// Readings of an existing table that no client could receive and that were moved to `rowcast.unfit_readings`.
    pub set_aside: i64,
}

/// Why the schema is not at its version.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The deadline passed without a connection.
    #[error("no connection to the database within {0:?}")]
    Unreachable(Duration, #[source] Error),
    /// Another migrator is running.
    #[error("another migration still runs after {0:?}")]
    Locked(Duration),
    /// A statement failed; its migration was rolled back.
    #[error("a migration failed")]
    Failed(#[from] sqlx::migrate::MigrateError),
    /// The database failed between migrations, or could not be queried.
    #[error(transparent)]
    Database(#[from] Error),
    /// Services of this release need a later schema.
    #[error("the schema is at version {found}, this release needs {needed}: run `migrate`")]
    TooOld {
        /// What the database has; 0 where it has none.
        found: i64,
        /// What this release needs.
        needed: i64,
    },
}

impl SchemaError {
    /// Whether the database answers and has an older schema, which may serve other releases.
    pub fn is_too_old(&self) -> bool {
        matches!(self, Self::TooOld { .. })
    }
}

/// The version that this release needs.
pub fn required_version() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Brings the database to [`required_version`], waiting up to `deadline` for it to answer and for other migrators.
/// Each migration is one transaction: after an interruption, the next run continues where it stopped.
pub async fn migrate(options: &Options, deadline: Duration) -> std::result::Result<Migrated, SchemaError> {
    let until = Instant::now() + deadline;
    let mut connection = reach(&options.clone().quiet(), deadline, until).await?;
    lock(&mut connection, deadline, until).await?;
    let outcome = run(&mut connection).await;
    // closing the connection releases the lock, also after a failure
    connection.close().await.map_err(Error)?;
    outcome
}

async fn reach(
    options: &Options,
    deadline: Duration,
    until: Instant,
) -> std::result::Result<PgConnection, SchemaError> {
    loop {
        match options.connect().await {
            Ok(connection) => return Ok(connection),
            Err(error) if Instant::now() + RETRY > until => {
                return Err(SchemaError::Unreachable(deadline, error));
            }
            Err(error) => {
                tracing::info!(error = &error as &dyn std::error::Error, "waiting for the database")
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn lock(
    connection: &mut PgConnection,
    deadline: Duration,
    until: Instant,
) -> std::result::Result<(), SchemaError> {
    loop {
        let locked: bool = sqlx::query_scalar("select pg_try_advisory_lock($1)")
            .bind(MIGRATION_LOCK)
            .fetch_one(&mut *connection)
            .await
            .map_err(Error)?;
        if locked {
            return Ok(());
        }
        if Instant::now() + RETRY > until {
            return Err(SchemaError::Locked(deadline));
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn run(connection: &mut PgConnection) -> std::result::Result<Migrated, SchemaError> {
    connection.create_schema_if_not_exists("rowcast").await?;
    connection.ensure_migrations_table(TABLE).await?;
    let before: HashSet<i64> =
        connection.list_applied_migrations(TABLE).await?.into_iter().map(|applied| applied.version).collect();
    let mut migrator = MIGRATIONS;
    // a later release's migrations may be there already: its expansions leave this one's schema intact
    migrator.set_locking(false).set_ignore_missing(true).dangerous_set_table_name(TABLE);
    migrator.run(&mut *connection).await?;
    let applied = MIGRATIONS
        .iter()
        .filter(|migration| !before.contains(&migration.version))
        .map(|migration| (migration.version, migration.description.to_string()))
        .collect();
    let set_aside = sqlx::query_scalar("select count(*) from rowcast.unfit_readings")
        .fetch_one(&mut *connection)
        .await
        .map_err(Error)?;
    Ok(Migrated { applied, version: required_version(), set_aside })
}

/// The table of applied migrations.
const TABLE: &str = "rowcast._sqlx_migrations";

impl Database {
    /// Fails while the schema is older than this release needs, or the database cannot be queried.
    pub async fn check_schema(&self) -> std::result::Result<(), SchemaError> {
        let needed = required_version();
        let found = self.schema_version().await?;
        self.metrics().counted().schema.set(found);
        if found < needed { Err(SchemaError::TooOld { found, needed }) } else { Ok(()) }
    }

    async fn schema_version(&self) -> Result<i64> {
        let mut pooled = self.acquire().await?;
        let read = within(pooled.limit(), version(pooled.session())).await?;
        pooled.finish(read).await
    }
}

async fn version(session: &mut Session) -> Result<i64> {
    let exists = "select to_regclass('rowcast._sqlx_migrations') is not null";
    if !session.scalar::<bool>(Statement::Check, sqlx::query_scalar(exists)).await? {
        return Ok(0);
    }
    let version = "select coalesce(max(version), 0) from rowcast._sqlx_migrations where success";
    session.scalar(Statement::Check, sqlx::query_scalar(version)).await
}
