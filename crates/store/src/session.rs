//! A connection with its settings, whether its session is our own or a pooler lends one for each transaction.
//!
//! What is set or prepared in a session that a pooler shares reaches whoever has it next, and theirs reaches us. There each
//! piece of work is one transaction, which says all that it depends on for itself alone, and its statements have no name.

use std::{sync::Arc, time::Duration};

use futures_util::stream::BoxStream;
use sqlx::{
    AssertSqlSafe, Connection, FromRow, PgConnection, Postgres,
    postgres::{PgArguments, PgRow},
    query::{Query, QueryAs, QueryScalar},
};
use time::OffsetDateTime;

use crate::{
    deadline::within,
    error::{Error, Result},
};

/// A connection that was idle for longer is asked whether it is still there: servers, poolers and firewalls end idle ones.
pub(crate) const TRUSTED_FOR: Duration = Duration::from_millis(500);

/// How long that may take.
pub(crate) const PROBE: Duration = Duration::from_millis(500);

/// What others may have set in a shared session that would change what is stored, or whether a statement is taken. Each is
/// what the session began with, unless we set it ourselves. The role comes first: it decides what may be set.
const OF_OTHERS: [&str; 9] = [
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

/// What an expression that must not be false fails with here.
const DIVISION_BY_ZERO: &str = "22012";

/// How long a shared session's turn may take to come: whoever asked anew would be the last in the pooler's queue.
const TURN: Duration = Duration::from_millis(1_500);

/// How the transactions of a shared session begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// As the database has it: a standby can be read.
    Read,
    /// To write, whatever others have made the default.
    Write,
}

/// A connection.
pub(crate) struct Session {
    connection: PgConnection,
    /// How a transaction begins, where the session is shared.
    opening: Option<Arc<str>>,
    /// In a transaction of a shared session.
    is_open: bool,
}

type Asked<'q, T> = QueryAs<'q, Postgres, T, PgArguments>;

/// The beginning of a transaction that depends on nothing but the database's and our own settings.
pub(crate) fn opening(access: Access, settings: &[(&'static str, String)]) -> Arc<str> {
    let mut sql = "begin isolation level read committed".to_owned();
    if access == Access::Write {
        sql.push_str(", read write");
    }
    for name in OF_OTHERS.into_iter().filter(|name| settings.iter().all(|(own, _)| own != name)) {
        sql.push_str(&format!("; set local {name} to default"));
    }
    for (name, value) in settings {
        sql.push_str(&format!("; set local {name} = '{value}'"));
    }
    sql.into()
}

impl Session {
    pub(crate) fn new(connection: PgConnection, opening: Option<Arc<str>>) -> Self {
        Self { connection, opening, is_open: false }
    }

    /// The connection of a session that is our own.
    pub(crate) fn own(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Begins the transaction of a piece of work, where the session is shared and none has begun.
    pub(crate) async fn begin(&mut self) -> Result<()> {
        let Some(opening) = self.opening.as_ref().filter(|_| !self.is_open) else { return Ok(()) };
        loop {
            let begin = sqlx::raw_sql(AssertSqlSafe(opening.clone())).execute(&mut self.connection);
            match begin.await.map_err(Error) {
                Ok(_) => break,
                // the time that another has left to statements counts until ours is set; callers have a limit of their own
                Err(error) if error.is_timeout() => {
                    sqlx::raw_sql("rollback").execute(&mut self.connection).await?;
                }
                Err(error) => return Err(error),
            }
        }
        self.is_open = true;
        Ok(())
    }

    /// Ends it. One that failed is rolled back by the same word.
    pub(crate) async fn end(&mut self) -> Result<()> {
        if self.is_open {
            sqlx::raw_sql("commit").execute(&mut self.connection).await?;
            self.is_open = false;
        }
        Ok(())
    }

    /// Ends it, if the server comes to it before that instant of its clock; whether it did. Otherwise nothing is stored,
    /// and the session is of no use any more.
    pub(crate) async fn end_before(&mut self, instant: OffsetDateTime) -> Result<bool> {
        if !self.is_open {
            return Ok(true);
        }
        // both in one message, of which nothing runs behind what fails
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

    /// Whether the server answers on it; one that was heard a moment ago is not asked. In a shared session the transaction
    /// that begins with this is the question.
    pub(crate) async fn works(&mut self, was_heard: bool) -> bool {
        let limit = if self.opening.is_some() { TURN } else { PROBE };
        let asked = async {
            match (&self.opening, was_heard) {
                (Some(_), _) => self.begin().await,
                (None, true) => Ok(()),
                (None, false) => Ok(self.connection.ping().await?),
            }
        };
        matches!(within(limit, asked).await, Ok(Ok(())))
    }

    /// Closes it in good order.
    pub(crate) async fn close(self) {
        let _ = within(PROBE, self.connection.close()).await;
    }

    /// Whether statements keep a name: the next one with this session would find it taken, or that of another behind it.
    fn keeps_statements(&self) -> bool {
        self.opening.is_none()
    }

    pub(crate) async fn rows(&mut self, query: Query<'_, Postgres, PgArguments>) -> sqlx::Result<Vec<PgRow>> {
        query.persistent(self.keeps_statements()).fetch_all(&mut self.connection).await
    }

    pub(crate) async fn all<T>(&mut self, query: Asked<'_, T>) -> sqlx::Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        query.persistent(self.keeps_statements()).fetch_all(&mut self.connection).await
    }

    pub(crate) async fn one<T>(&mut self, query: Asked<'_, T>) -> sqlx::Result<T>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        query.persistent(self.keeps_statements()).fetch_one(&mut self.connection).await
    }

    pub(crate) async fn scalar<T>(
        &mut self,
        query: QueryScalar<'_, Postgres, T, PgArguments>,
    ) -> sqlx::Result<T>
    where
        T: Send + Unpin,
        (T,): for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        query.persistent(self.keeps_statements()).fetch_one(&mut self.connection).await
    }

    pub(crate) async fn optional<T>(&mut self, query: Asked<'_, T>) -> sqlx::Result<Option<T>>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        query.persistent(self.keeps_statements()).fetch_optional(&mut self.connection).await
    }

    pub(crate) fn stream<'e, 'q: 'e, T>(&'e mut self, query: Asked<'q, T>) -> BoxStream<'e, sqlx::Result<T>>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin + 'e,
    {
        query.persistent(self.keeps_statements()).fetch(&mut self.connection)
    }
}
