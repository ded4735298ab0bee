//! A connection with its settings, whether its session is our own or assigned by a pooler for each transaction.
//!
//! In a session that a pooler shares, settings and prepared statements remain for its next client, and those of others
//! remain for us. There each unit of work is one transaction, which sets all that it depends on with `set local`, and its
//! statements are unnamed.

use std::{sync::Arc, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection, FromRow, PgConnection, Postgres,
    postgres::{PgArguments, PgRow},
    query::{Query, QueryAs, QueryScalar},
};
use time::OffsetDateTime;

use crate::{
    deadline::within,
    error::{Error, Result},
    metrics::{Metrics, Rows, Running, Statement},
};

/// A connection that was idle for longer is probed before use: servers, poolers and firewalls close idle ones.
pub(crate) const PROBE_AFTER_IDLE: Duration = Duration::from_millis(500);

/// How long a probe may take.
pub(crate) const PROBE: Duration = Duration::from_millis(500);

/// Settings that others may have changed in a shared session and that would affect what is stored, or whether a statement
/// is accepted. Each is reset to the session's default, unless we set it ourselves. The role is first: it decides what
/// may be set.
const RESET: [&str; 9] = [
    "role",
    "search_path",
    "synchronous_commit",
    "default_transaction_read_only",
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "row_security",
    "rowcast.doorbell",
];

/// The error by which a false deadline check ends the transaction (`1 / 0`).
const DIVISION_BY_ZERO: &str = "22012";

/// How long to wait for a shared session: longer than a probe, since a new attempt would be the last in the pooler's queue.
const BEGIN_TIMEOUT: Duration = Duration::from_millis(1_500);

/// How the transactions of a shared session begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// With the database's default: a standby can be read.
    Read,
    /// Read-write, whatever the session's default is.
    Write,
}

/// A connection.
pub(crate) struct Session {
    connection: PgConnection,
    /// How a transaction begins, where the session is shared.
    opening: Option<Arc<str>>,
    /// Whether a transaction of a shared session is open.
    is_open: bool,
    metrics: Metrics,
}

type TypedQuery<'q, T> = QueryAs<'q, Postgres, T, PgArguments>;

/// The statements that begin a transaction which depends on the database's and our own settings alone.
pub(crate) fn opening(access: Access, settings: &[(&'static str, String)]) -> Arc<str> {
    let mut sql = "begin isolation level read committed".to_owned();
    if access == Access::Write {
        sql.push_str(", read write");
    }
    for name in RESET.into_iter().filter(|name| settings.iter().all(|(own, _)| own != name)) {
        sql.push_str(&format!("; set local {name} to default"));
    }
    for (name, value) in settings {
        sql.push_str(&format!("; set local {name} = '{value}'"));
    }
    sql.into()
}

impl Session {
    pub(crate) fn new(connection: PgConnection, opening: Option<Arc<str>>, metrics: Metrics) -> Self {
        Self { connection, opening, is_open: false, metrics }
    }

    /// Begins the timing of a statement.
    pub(crate) fn begin_statement(&self, statement: Statement) -> Running {
        self.metrics.begin(statement)
    }

    /// The connection of a session that is our own.
    pub(crate) fn own(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Begins the transaction of a unit of work, where the session is shared and none is open.
    pub(crate) async fn begin(&mut self) -> Result<()> {
        let Some(opening) = self.opening.as_ref().filter(|_| !self.is_open) else { return Ok(()) };
        loop {
            let begin = sqlx::raw_sql(AssertSqlSafe(opening.clone())).execute(&mut self.connection);
            match begin.await.map_err(Error) {
                Ok(_) => break,
                // another client's `statement_timeout` applies until ours is set; callers have a limit of their own
                Err(error) if error.is_timeout() => {
                    sqlx::raw_sql("rollback").execute(&mut self.connection).await?;
                }
                Err(error) => return Err(error),
            }
        }
        self.is_open = true;
        Ok(())
    }

    /// Begins a transaction of several statements, with these settings, in whichever session.
    pub(crate) async fn begin_with(&mut self, settings: &'static str) -> Result<()> {
        self.begin().await?;
        if !self.is_open {
            sqlx::raw_sql("begin isolation level read committed, read write")
                .execute(&mut self.connection)
                .await?;
            self.is_open = true;
        }
        sqlx::raw_sql(settings).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Undoes the transaction.
    pub(crate) async fn roll_back(&mut self) -> Result<()> {
        sqlx::raw_sql("rollback").execute(&mut self.connection).await?;
        self.is_open = false;
        Ok(())
    }

    /// Runs a statement without parameters or rows.
    pub(crate) async fn run(&mut self, sql: &'static str) -> Result<()> {
        sqlx::raw_sql(sql).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Ends the transaction. A failed one is rolled back by the same statement.
    pub(crate) async fn end(&mut self) -> Result<()> {
        if self.is_open {
            sqlx::raw_sql("commit").execute(&mut self.connection).await?;
            self.is_open = false;
        }
        Ok(())
    }

    /// Commits if the server runs this before that instant by its clock; returns whether it did. Otherwise nothing is
    /// stored, and the session must not be used again.
    pub(crate) async fn end_before(&mut self, instant: OffsetDateTime) -> Result<bool> {
        if !self.is_open {
            return Ok(true);
        }
        // both in one message: after an error the server skips the rest of it
        let (seconds, micros) = (instant.unix_timestamp(), instant.microsecond());
        let sql = format!(
            "select 1 / (clock_timestamp() < timestamptz 'epoch' + interval '{seconds} seconds {micros} us')::int; commit"
        );
        match sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection).await.map_err(Error) {
            Ok(_) => {
                self.is_open = false;
                Ok(true)
            }
            Err(error) if error.code().as_deref() == Some(DIVISION_BY_ZERO) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the connection works; one that was used a moment ago is not probed. In a shared session the beginning of
    /// the transaction is the probe.
    pub(crate) async fn is_alive(&mut self, was_used: bool) -> bool {
        let limit = if self.opening.is_some() { BEGIN_TIMEOUT } else { PROBE };
        let probe = async {
            match (&self.opening, was_used) {
                (Some(_), _) => self.begin().await,
                (None, true) => Ok(()),
                (None, false) => {
                    let running = self.metrics.begin(Statement::Probe);
                    running.ended(self.connection.ping().await)
                }
            }
        };
        matches!(within(limit, probe).await, Ok(Ok(())))
    }

    /// Closes it gracefully.
    pub(crate) async fn close(self) {
        let _ = within(PROBE, self.connection.close()).await;
    }

    /// Whether prepared statements are named: in a shared session the names would collide with those of other clients.
    fn keeps_statements(&self) -> bool {
        self.opening.is_none()
    }

    pub(crate) async fn rows(
        &mut self,
        statement: Statement,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<Vec<PgRow>> {
        let running = self.metrics.begin(statement);
        let query = query.persistent(self.keeps_statements());
        running.ended(query.fetch_all(&mut self.connection).await)
    }

    pub(crate) async fn all<T>(&mut self, statement: Statement, query: TypedQuery<'_, T>) -> Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let running = self.metrics.begin(statement);
        let query = query.persistent(self.keeps_statements());
        running.ended(query.fetch_all(&mut self.connection).await)
    }

    pub(crate) async fn one<T>(&mut self, statement: Statement, query: TypedQuery<'_, T>) -> Result<T>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let running = self.metrics.begin(statement);
        let query = query.persistent(self.keeps_statements());
        running.ended(query.fetch_one(&mut self.connection).await)
    }

    pub(crate) async fn scalar<T>(
        &mut self,
        statement: Statement,
        query: QueryScalar<'_, Postgres, T, PgArguments>,
    ) -> Result<T>
    where
        T: Send + Unpin,
        (T,): for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let running = self.metrics.begin(statement);
        let query = query.persistent(self.keeps_statements());
        running.ended(query.fetch_one(&mut self.connection).await)
    }

    pub(crate) async fn optional<T>(
        &mut self,
        statement: Statement,
        query: TypedQuery<'_, T>,
    ) -> Result<Option<T>>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let running = self.metrics.begin(statement);
        let query = query.persistent(self.keeps_statements());
        running.ended(query.fetch_optional(&mut self.connection).await)
    }

    pub(crate) fn stream<'e, 'q: 'e, T>(
        &'e mut self,
        statement: Statement,
        query: TypedQuery<'q, T>,
    ) -> Rows<'e, T>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin + 'e,
    {
        let running = self.metrics.begin(statement);
        Rows::new(query.persistent(self.keeps_statements()).fetch(&mut self.connection), running)
    }
}
