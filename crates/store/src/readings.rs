//! Readings in and out of their table.

pub mod once;

use sqlx::{FromRow, Row as _, postgres::PgRow};
use time::OffsetDateTime;
use tokio::time::Instant;
use wire::{Reading, TraceParent};

use crate::{
    connect::Options,
    deadline::within,
    error::Result,
    metrics::Statement,
    pool::Database,
    session::{Access, PROBE_AFTER_IDLE, Session},
};

/// The constraint on the size of a reading's metadata as it is stored.
pub const METADATA_LIMIT: &str = "metadata_is_at_most_1_mib";

/// A reading to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewReading {
    /// Valid by the schema's checks.
    pub sensor_id: String,
    /// A finite number.
    pub value: f64,
    /// The reading's time; absent, the time of the insert.
    pub timestamp: Option<OffsetDateTime>,
    /// JSON text.
    pub metadata: String,
    /// The W3C trace context of the request that brought it.
    pub traceparent: Option<String>,
    /// Its sender's own key, by which it is stored once.
    pub key: Option<String>,
}

#[derive(FromRow)]
pub(crate) struct Row {
    id: i64,
    sensor_id: String,
    value: f64,
    timestamp: OffsetDateTime,
    metadata: String,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

/// The columns of a reading that may be absent.
#[derive(FromRow)]
pub(crate) struct MaybeRow {
    id: Option<i64>,
    sensor_id: Option<String>,
    value: Option<f64>,
    timestamp: Option<OffsetDateTime>,
    metadata: Option<String>,
    created_at: Option<OffsetDateTime>,
    updated_at: Option<OffsetDateTime>,
}

/// A reading of the log, with the trace context that it was stored with.
pub(crate) struct TracedReading {
    pub(crate) reading: Reading,
    pub(crate) traceparent: Option<TraceParent>,
}

impl MaybeRow {
    pub(crate) fn reading(self) -> Option<Reading> {
        Some(Reading {
            id: self.id?,
            sensor_id: self.sensor_id?,
            value: self.value?,
            timestamp: self.timestamp?,
            metadata: self.metadata?,
            created_at: self.created_at?,
            updated_at: self.updated_at?,
        })
    }
}

/// A row of the log.
#[derive(FromRow)]
pub(crate) struct TracedRow {
    #[sqlx(flatten)]
    row: Row,
    traceparent: Option<String>,
}

impl TracedReading {
    /// A stored context that is not valid belongs to no trace.
    pub(crate) fn new(reading: Reading, stored: Option<String>) -> Self {
        Self { reading, traceparent: stored.and_then(|stored| stored.parse().ok()) }
    }
}

impl From<TracedRow> for TracedReading {
    fn from(TracedRow { row, traceparent }: TracedRow) -> Self {
        Self::new(row.into(), traceparent)
    }
}

impl From<Row> for Reading {
    fn from(row: Row) -> Self {
        let Row { id, sensor_id, value, timestamp, metadata, created_at, updated_at } = row;
        Self { id, sensor_id, value, timestamp, metadata, created_at, updated_at }
    }
}

/// A connection that inserts, one statement at a time.
///
/// A statement carries a deadline by the database's clock, after which it must do nothing: a server that was suspended
/// with the statement in its socket does not store what its client has given up. The clock is read when the connection is
/// made and followed by our own monotonic one.
pub struct Inserter {
    session: Session,
    clock: OffsetDateTime,
    read_at: Instant,
    /// When the server last answered.
    answered_at: Instant,
}

/// What the database adds to a [`NewReading`] that it stores.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredReading {
    /// From the table's sequence.
    pub id: i64,
    /// The reading's time.
    pub timestamp: OffsetDateTime,
    /// JSON text as jsonb prints it, as every client will get it.
    pub metadata: String,
    /// When it was inserted.
    pub created_at: OffsetDateTime,
}

impl NewReading {
    /// The reading as it is in the table now.
    pub fn stored(self, stored: StoredReading) -> Reading {
        let StoredReading { id, timestamp, metadata, created_at } = stored;
        let Self { sensor_id, value, .. } = self;
        Reading { id, sensor_id, value, timestamp, metadata, created_at, updated_at: created_at }
    }
}

/// The outcome of an insert that did not fail.
pub enum Inserted {
    /// Stored and committed.
    Stored(StoredReadings),
    /// The deadline had passed when the server came to it; nothing was stored.
    TooLate,
}

/// The stored readings in the order given, as raw rows: decoding takes time and can be done beside the next insert.
pub struct StoredReadings(Vec<PgRow>);

impl StoredReadings {
    /// Decodes the rows.
    pub fn read(self) -> Result<Vec<StoredReading>> {
        let read = |row: PgRow| {
            Ok(StoredReading {
                id: row.try_get(0)?,
                timestamp: row.try_get(1)?,
                metadata: row.try_get(2)?,
                created_at: row.try_get(3)?,
            })
        };
        self.0.into_iter().map(read).collect()
    }
}

impl Inserter {
    /// Connects. Options should bound the statement's time. A shared session is reserved from now until the first insert.
    pub async fn connect(options: &Options) -> Result<Self> {
        let mut session = options.session(Access::Write).await?;
        let clock = within(options.limit(), clock(&mut session)).await??;
        Ok(Self { session, clock, read_at: Instant::now(), answered_at: Instant::now() })
    }

    /// Whether the connection still works. One that has been idle is probed: servers, poolers and firewalls close idle
    /// ones, and an INSERT that fails on one may not be repeated.
    pub async fn is_alive(&mut self) -> bool {
        if !self.session.is_alive(self.answered_at.elapsed() < PROBE_AFTER_IDLE).await {
            return false;
        }
        self.answered_at = Instant::now();
        true
    }

    /// Stores all the readings in one transaction, or none. Their keys are not looked at.
    pub async fn insert(&mut self, readings: &[&NewReading], deadline: Instant) -> Result<Inserted> {
        let not_after = self.not_after(deadline);
        self.session.begin().await?;
        let stored = match insert(&mut self.session, readings, not_after).await {
            Ok(stored) => stored,
            Err(error) if error.is_data_error() => {
                self.session.end().await?;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        let is_late = stored.is_empty() && !readings.is_empty();
        if is_late || !self.session.end_before(not_after).await? {
            return Ok(Inserted::TooLate);
        }
        self.answered_at = Instant::now();
        Ok(Inserted::Stored(StoredReadings(stored)))
    }

    /// The deadline by the database's clock.
    fn not_after(&self, deadline: Instant) -> OffsetDateTime {
        self.clock + deadline.saturating_duration_since(self.read_at)
    }
}

/// Inserts them all, in their order; no rows when it is too late.
async fn insert(
    session: &mut Session,
    readings: &[&NewReading],
    not_after: OffsetDateTime,
) -> Result<Vec<PgRow>> {
    let column = |f: fn(&NewReading) -> &str| readings.iter().map(|r| f(r)).collect::<Vec<_>>();
    // the clock is read once, so that all are stored or none; the commit waits for the disk whatever the database's
    // default is, because the answer will be 201; columns that are known already are not returned
    let query = sqlx::query(
        r#"insert into public.sensor_readings (sensor_id, value, "timestamp", metadata, traceparent)
           select sensor_id, value, coalesce(at, now()), metadata::jsonb, traceparent
             from unnest($1::text[], $2::float8[], $3::timestamptz[], $4::text[], $5::text[])
                  with ordinality as given (sensor_id, value, at, metadata, traceparent, place)
            where (select clock_timestamp() < $6 and set_config('synchronous_commit',
                   case current_setting('synchronous_commit') when 'off' then 'on'
                        else current_setting('synchronous_commit') end, true) is not null)
            order by place
           returning id, "timestamp", metadata::text, created_at"#,
    )
    .bind(column(|r| &r.sensor_id))
    .bind(readings.iter().map(|r| r.value).collect::<Vec<_>>())
    .bind(readings.iter().map(|r| r.timestamp).collect::<Vec<_>>())
    .bind(column(|r| &r.metadata))
    .bind(readings.iter().map(|r| r.traceparent.as_deref()).collect::<Vec<_>>())
    .bind(not_after);
    session.rows(Statement::Insert, query).await
}

async fn clock(session: &mut Session) -> Result<OffsetDateTime> {
    // the transaction of a shared session stays open for the first insert
    session.begin().await?;
    session.scalar(Statement::Check, sqlx::query_scalar("select clock_timestamp()")).await
}

impl Database {
    /// Whether this user can INSERT: the server is a writable primary and the user has the privilege.
    pub async fn accepts_readings(&self) -> Result<bool> {
        let query = sqlx::query_scalar(
            "select not pg_is_in_recovery() and current_setting('default_transaction_read_only') = 'off'
                    and has_any_column_privilege('public.sensor_readings', 'insert')",
        );
        let mut pooled = self.acquire().await?;
        let read = within(pooled.limit(), pooled.session().scalar(Statement::Check, query)).await?;
        pooled.finish(read).await
    }
}
