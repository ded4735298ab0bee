//! What the connections to Postgres count.

use std::{sync::Arc, time::Duration};

use futures_util::{TryStreamExt, stream::BoxStream};
use instruments::{By, Call, Gauge, Histogram, IntCounter, IntGauge, Registry};

use crate::error::{Error, Result};

/// A statement that is given up after this time, without an answer, counts as an error.
const ANSWER_EXPECTED: Duration = Duration::from_secs(1);

/// From a statement on a cached page to one that scans for seconds.
const SECONDS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];

instruments::labels! {
    /// The kinds of statements.
    pub(crate) enum Statement {
        /// Opening a connection, settings included.
        Connect = "connect",
        /// The probe of an idle connection, and the beginning of a transaction where a pooler shares sessions.
        Probe = "probe",
        /// The INSERT of readings.
        Insert = "insert",
        /// What is known of requests and readings that have keys, and the answers that are kept.
        Claim = "claim",
        /// The schema's version, the database's identity and clock, what this user may do.
        Check = "check",
        /// The ends of the log and its epochs, and where a span of time begins in it.
        Head = "head",
        /// Ticks and their snapshots.
        Ticks = "ticks",
        /// A page of the log.
        Log = "log",
        /// The newest reading of each sensor.
        Latest = "latest",
        /// A page of history, and the sensors of a filter.
        History = "history",
        /// A page of buckets.
        Buckets = "buckets",
        /// Taking a tick.
        Advance = "advance",
        /// Starting an epoch, and giving ids to duplicates.
        Repair = "repair",
        /// Switching the notifications of writers.
        Gate = "gate",
        /// What a standby knows of the leader, and a leader's registration.
        Standby = "standby",
        /// Partitions and retention.
        Maintain = "maintain",
        /// Changes of device keys and revocations, and notes of use.
        Keys = "keys",
    }
}

instruments::labels! {
    /// What a pooled connection does.
    pub(crate) enum Use {
        /// It waits for its next use.
        Idle = "idle",
        /// A caller has it.
        Busy = "busy",
    }
}

instruments::metrics! {
    /// What all connections of a process count together.
    pub(crate) struct Counted("rowcast_postgres_") {
        /// From a statement's start to its end, by kind. Reading the result is included.
        duration: By<Statement, Histogram> = "statement_duration_seconds", by = ["statement"], buckets = SECONDS;
        /// Statements that failed, or were given up after a second or more without an answer, by kind. Refused data is no failure.
        errors: By<Statement, IntCounter> = "statement_errors_total", by = ["statement"];
        /// Open connections of the pools of readers.
        pub(crate) connections: By<Use, IntGauge> = "pool_connections", by = ["state"];
        /// The most connections of the pools of readers.
        pub(crate) limit: IntGauge = "pool_limit";
        /// How long a reader waited for its turn in the pool, connecting not included.
        pub(crate) wait: Histogram = "pool_wait_seconds",
            buckets = [0.0001, 0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 3.0];
        /// Readers whose turn did not come in time.
        pub(crate) timeouts: IntCounter = "pool_timeouts_total";
        /// The version of the schema that the last check found; 0 before the first.
        pub(crate) schema: IntGauge = "schema_version";
    }
}

instruments::metrics! {
    /// What concerns who listens.
    pub struct NotificationMetrics("rowcast_postgres_notification_") {
        /// How full the server's queue of notifications is, from 0 to 1. A full one fails the commits of all writers.
        pub usage: Gauge = "queue_usage_ratio";
    }
}

/// The metrics of all connections of a process, cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Counted>);

impl Metrics {
    /// Registers them as `rowcast_postgres_…`.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub fn register(registry: &Registry) -> instruments::Result<Self> {
        Ok(Self(Arc::new(Counted::register(registry)?)))
    }

    /// Of connections that nobody observes.
    pub(crate) fn unseen() -> Self {
        Self::register(&Registry::new()).expect("an empty registry has none of these names")
    }

    pub(crate) fn counted(&self) -> &Counted {
        &self.0
    }

    /// Begins a statement.
    pub(crate) fn begin(&self, statement: Statement) -> Running {
        Running(Call::begin(self.0.duration.of(statement), self.0.errors.of(statement), ANSWER_EXPECTED))
    }
}

/// A statement that is running.
pub(crate) struct Running(Call);

impl Running {
    /// It has ended, with this result.
    pub(crate) fn ended<T>(self, result: sqlx::Result<T>) -> Result<T> {
        let result = result.map_err(Error);
        self.0.end(result.as_ref().is_err_and(Error::is_failure));
        result
    }
}

/// The rows of a statement that is running. It ends with the last row, or when they are dropped: a page may be full before.
pub(crate) struct Rows<'a, T> {
    rows: BoxStream<'a, sqlx::Result<T>>,
    running: Option<Running>,
    /// Whether a row has come.
    answered: bool,
}

impl<'a, T> Rows<'a, T> {
    pub(crate) fn new(rows: BoxStream<'a, sqlx::Result<T>>, running: Running) -> Self {
        Self { rows, running: Some(running), answered: false }
    }

    /// The next row.
    pub(crate) async fn next(&mut self) -> Result<Option<T>> {
        let next = self.rows.try_next().await;
        self.answered = true;
        match (next, self.running.take()) {
            (Ok(Some(row)), running) => {
                self.running = running;
                Ok(Some(row))
            }
            (end, Some(running)) => running.ended(end),
            (end, None) => end.map_err(Error),
        }
    }
}

impl<T> Drop for Rows<'_, T> {
    fn drop(&mut self) {
        if self.answered
            && let Some(running) = self.running.take()
        {
            running.0.end(false);
        }
    }
}
