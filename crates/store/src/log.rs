//! The log: readings in one total order, read from the ticks that hold them.

use std::time::Duration;

use sqlx::FromRow;
use time::OffsetDateTime;
use wire::{Epoch, Position, Reading, Tick, TraceParent, resume::Head};

use crate::{
    deadline::within,
    error::{Error, Result},
    metrics::Statement,
    pool::Database,
    readings::{TracedReading, TracedRow},
    session::Session,
    snapshot::Snapshot,
};

/// A page of the log.
#[derive(Debug, Default)]
pub struct Page {
    /// Readings, grouped by tick, in order; ticks without readings are left out.
    pub ticks: Vec<TickReadings>,
    /// Everything up to here is in this page or before it.
    pub covered: Position,
}

/// Readings of one tick.
#[derive(Debug)]
pub struct TickReadings {
    /// The epoch that the tick belongs to.
    pub epoch: Epoch,
    /// Its number.
    pub tick: Tick,
    /// When it was committed.
    pub at: OffsetDateTime,
    /// How many readings it holds, here or not.
    pub rows: i64,
    /// How many readings its epoch has up to its end; `None` in a tick of a release before.
    pub total: Option<i64>,
    /// In id order.
    pub readings: Vec<Reading>,
    /// The trace contexts of those that have one, each with the reading's index.
    pub traces: Vec<(u32, TraceParent)>,
}

impl TickReadings {
    /// Of a tick whose readings are to be pushed.
    pub fn empty(epoch: Epoch, tick: Tick, at: OffsetDateTime) -> Self {
        Self { epoch, tick, at, rows: 0, total: None, readings: Vec::new(), traces: Vec::new() }
    }

    /// Of a tick that holds these.
    pub fn new(epoch: Epoch, tick: Tick, at: OffsetDateTime, readings: Vec<Reading>) -> Self {
        let rows = i64::try_from(readings.len()).unwrap_or(i64::MAX);
        Self { rows, readings, ..Self::empty(epoch, tick, at) }
    }

    pub(crate) fn push(&mut self, TracedReading { reading, traceparent }: TracedReading) {
        if let Some(traceparent) = traceparent {
            // a page has 5,000 readings at most
            self.traces.push((self.readings.len() as u32, traceparent));
        }
        self.readings.push(reading);
    }
}

/// The limits of a page: it ends with the reading that reaches one of them, so it may exceed the bytes by 1 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Readings.
    pub rows: i64,
    /// Bytes of their metadata, as they are sent to clients.
    pub bytes: usize,
}

/// The default limit of a page's metadata, in bytes.
pub const PAGE_BYTES: usize = 4 << 20;

impl Budget {
    /// So many readings, and [`PAGE_BYTES`].
    pub const fn rows(rows: i64) -> Self {
        Self { rows, bytes: PAGE_BYTES }
    }

    fn bytes(self) -> i64 {
        i64::try_from(self.bytes).unwrap_or(i64::MAX)
    }

    /// Whether a limit was reached, so that readings may have been left out.
    pub(crate) fn is_full(self, readings: &[Reading]) -> bool {
        i64::try_from(readings.len()).is_ok_and(|rows| rows >= self.rows)
            || readings.iter().map(|reading| reading.metadata.len()).sum::<usize>() >= self.bytes
    }
}

/// Why a page could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The log no longer reaches back so far.
    #[error("the log no longer reaches back to {0}")]
    Forgotten(Position),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] Error),
}

impl From<sqlx::Error> for ReadError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Error(error))
    }
}

#[derive(FromRow)]
struct TickRow {
    no: i64,
    epoch: i64,
    snap: String,
    rows: i64,
    bytes: Option<i64>,
    total: Option<i64>,
    at: OffsetDateTime,
}

impl TickRow {
    fn readings(&self) -> TickReadings {
        let empty = TickReadings::empty(Epoch(self.epoch), Tick(self.no), self.at);
        TickReadings { rows: self.rows, total: self.total, ..empty }
    }
}

#[derive(FromRow)]
struct LogRow {
    xid: String,
    #[sqlx(flatten)]
    row: TracedRow,
}

/// The most ticks that one page covers: 2,000 snapshots are about 100 kB.
const TICKS_PER_PAGE: i64 = 2_000;

/// The log's end, on any connection.
pub(crate) async fn head(session: &mut Session) -> Result<Option<Head>> {
    let query = sqlx::query_as(
        "select e.epoch, e.first_tick, t.last, t.first
           from (select epoch, first_tick from rowcast.epoch order by epoch desc limit 1) e,
                (select max(no) as last, min(no) as first from rowcast.tick) t",
    );
    let row: Option<(i64, i64, i64, i64)> = session.optional(Statement::Head, query).await?;
    Ok(row.map(|(epoch, first_tick, last, first)| Head {
        epoch: Epoch(epoch),
        first_tick: Tick(first_tick),
        last_tick: Tick(last),
        horizon: Tick(first),
    }))
}

/// The readings in (after, end of `upto`], as many as the budget allows: a page ends with a tick, unless a single tick
/// holds more. The tick of `after` must exist.
pub(crate) async fn read_page(
    session: &mut Session,
    after: Position,
    upto: Tick,
    budget: Budget,
) -> std::result::Result<Page, ReadError> {
    // the snapshot before the first tick of the page
    let base = if after.ends_tick() { after.tick } else { Tick(after.tick.0 - 1) };
    let query = sqlx::query_as(
        "select no, epoch, snap::text, rows, bytes, total, at from rowcast.tick where no >= $1 and no <= $2 order by no limit $3",
    )
    .bind(base.0)
    .bind(upto.0)
    .bind(TICKS_PER_PAGE);
    let ticks: Vec<TickRow> = session.all(Statement::Ticks, query).await?;
    if ticks.first().is_none_or(|tick| tick.no != base.0) {
        return Err(ReadError::Forgotten(after));
    }
    // a promotion lost this tick, and another has its number now
    if ticks.iter().any(|tick| tick.no == after.tick.0 && tick.epoch != after.epoch.0) {
        return Err(ReadError::Forgotten(after));
    }
    let mut fitting = fitting(&ticks[1..], budget);
    while fitting > 0 {
        if let Some(page) = read_ticks(session, &ticks[..=fitting], after, budget).await? {
            return Ok(page);
        }
        // readings have grown since their tick was made
        fitting /= 2;
    }
    match ticks.get(1) {
        None => Ok(Page { ticks: Vec::new(), covered: after }),
        Some(first) => read_chunk(session, first, after, budget).await,
    }
}

/// How many of the ticks fit the budget together. The bytes of a very large tick are not known.
fn fitting(ticks: &[TickRow], budget: Budget) -> usize {
    let (mut rows, mut bytes) = (0_i64, 0_i64);
    let fits = |tick: &&TickRow| {
        rows = rows.saturating_add(tick.rows);
        // the first tick of an epoch may hold none
        bytes = bytes.saturating_add(tick.bytes.unwrap_or(if tick.rows == 0 { 0 } else { i64::MAX }));
        rows <= budget.rows && bytes < budget.bytes()
    };
    ticks.iter().take_while(fits).count()
}

/// Whole ticks, or `None` if they exceed the budget: `ticks[0]` is the one before the first of the page.
async fn read_ticks(
    session: &mut Session,
    ticks: &[TickRow],
    after: Position,
    budget: Budget,
) -> std::result::Result<Option<Page>, ReadError> {
    let snapshots = ticks
        .iter()
        .map(|tick| tick.snap.parse())
        .collect::<std::result::Result<Vec<Snapshot>, _>>()
        .map_err(|e| sqlx::Error::Decode(e.into()))?;
    let last = &ticks[ticks.len() - 1];
    let query = sqlx::query_as(
        r#"select xid, id, sensor_id, value, "timestamp", metadata, created_at, updated_at, traceparent
             from rowcast.log_page($1::pg_snapshot, $2::pg_snapshot,
                  (select floor_id from rowcast.epoch where epoch = $3), $4)"#,
    )
    .bind(&ticks[0].snap)
    .bind(&last.snap)
    .bind(last.epoch)
    .bind(budget.bytes());
    let rows: Vec<LogRow> = session.all(Statement::Log, query).await?;
    let mut page = Page {
        ticks: ticks[1..].iter().map(TickRow::readings).collect(),
        covered: Position::after_tick(Epoch(last.epoch), Tick(last.no)),
    };
    let mut bytes = 0;
    // rows come in id order, so each tick's readings stay in it
    for LogRow { xid, row } in rows {
        let xid = xid.parse().map_err(|_| sqlx::Error::Decode(format!("not an xid: {xid}").into()))?;
        // each snapshot shows all that the one before shows, so the first that shows the row is found by binary search
        let tick = snapshots[1..].partition_point(|snapshot| !snapshot.shows(xid));
        let traced = TracedReading::from(row);
        bytes += traced.reading.metadata.len();
        let tick = &mut page.ticks[tick];
        if tick.tick != after.tick || traced.reading.id > after.id {
            tick.push(traced);
        }
    }
    page.ticks.retain(|tick| !tick.readings.is_empty());
    Ok((bytes < budget.bytes).then_some(page))
}

/// A part of a tick that holds more than a page does.
async fn read_chunk(
    session: &mut Session,
    tick: &TickRow,
    after: Position,
    budget: Budget,
) -> std::result::Result<Page, ReadError> {
    let (epoch, no) = (Epoch(tick.epoch), Tick(tick.no));
    let after_id = (after.tick == no && after.id > 0).then_some(after.id);
    let query = sqlx::query_as(
        r#"select id, sensor_id, value, "timestamp", metadata, created_at, updated_at, traceparent
             from rowcast.log_chunk($1, (select floor_id from rowcast.epoch where epoch = $2), $3, $4, $5)"#,
    )
    .bind(no.0)
    .bind(epoch.0)
    .bind(after_id)
    .bind(budget.rows)
    .bind(budget.bytes());
    let rows: Vec<TracedRow> = session.all(Statement::Log, query).await?;
    let mut part = tick.readings();
    rows.into_iter().for_each(|row| part.push(row.into()));
    let covered = match part.readings.last() {
        Some(last) if budget.is_full(&part.readings) => Position::new(epoch, no, last.id),
        _ => Position::after_tick(epoch, no),
    };
    Ok(Page { ticks: vec![part], covered })
}

/// How many readings an epoch has up to a tick of it.
pub(crate) async fn total(session: &mut Session, epoch: Epoch, tick: Tick) -> Result<Option<i64>> {
    let query = sqlx::query_as("select total from rowcast.tick where no = $1 and epoch = $2");
    let row: Option<(Option<i64>,)> =
        session.optional(Statement::Head, query.bind(tick.0).bind(epoch.0)).await?;
    Ok(row.and_then(|(total,)| total))
}

/// The identity that the keys in Redis are named after.
pub(crate) async fn identity(session: &mut Session) -> Result<String> {
    session.scalar(Statement::Check, sqlx::query_scalar("select rowcast.identity()")).await
}

impl Database {
    /// The identity of this database, which no other shares: its keys in Redis are named after it. Another server behind
    /// the same host name has another.
    pub async fn identity(&self) -> Result<String> {
        let mut pooled = self.acquire().await?;
        let read = within(pooled.limit(), identity(pooled.session())).await?;
        pooled.finish(read).await
    }

    /// The log's end.
    pub async fn head(&self) -> Result<Head> {
        let mut pooled = self.acquire().await?;
        let read = within(pooled.limit(), head(pooled.session())).await?;
        pooled.finish(read).await?.ok_or(Error(sqlx::Error::RowNotFound))
    }

    /// How many readings the epoch has up to a tick of it; `None` after a tick of a release before.
    pub async fn total(&self, epoch: Epoch, tick: Tick) -> Result<Option<i64>> {
        let mut pooled = self.acquire().await?;
        let read = within(pooled.limit(), total(pooled.session(), epoch, tick)).await?;
        pooled.finish(read).await
    }

    /// The readings in (after, end of `upto`], at most about `limit` of them and [`PAGE_BYTES`] of metadata.
    pub async fn read(
        &self,
        after: Position,
        upto: Tick,
        limit: i64,
    ) -> std::result::Result<Page, ReadError> {
        let mut pooled = self.acquire().await?;
        let page = read_page(pooled.session(), after, upto, Budget::rows(limit));
        let page = within(self.limit(), page).await?;
        if !matches!(&page, Err(ReadError::Database(error)) if !error.is_answer()) {
            pooled.release().await;
        }
        page
    }

    /// The end of the last tick that was committed longer than `last` ago, and whether the log reaches back so far; if
    /// not, it is the beginning of the log.
    pub async fn since(&self, last: Duration) -> Result<(Position, bool)> {
        let query = sqlx::query_as(
            "select e.epoch, e.first_tick, t.no, t.at <= now() - make_interval(secs => $1)
               from (select epoch, first_tick from rowcast.epoch order by epoch desc limit 1) e,
                    rowcast.tick t
              where t.no = rowcast.last_tick_before(now() - make_interval(secs => $1))",
        )
        .bind(last.as_secs_f64());
        let mut pooled = self.acquire().await?;
        let read = within(pooled.limit(), pooled.session().one(Statement::Head, query)).await?;
        let (epoch, first_tick, tick, whole): (i64, i64, i64, bool) = pooled.finish(read).await?;
        let tick = Tick(tick.max(first_tick));
        Ok((Position::after_tick(Epoch(epoch), tick), whole && tick.0 > first_tick))
    }
}
