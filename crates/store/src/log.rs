//! The log: readings in the one order, read back from the ticks that hold them.

use sqlx::{Connection, FromRow, PgConnection};
use time::OffsetDateTime;
use wire::{
    Epoch, Filter, Pattern, Position, Reading, Tick,
    frame::{Gap, GapReason},
};

use crate::{Database, Error, Result, readings::Row, snapshot::Snapshot};

/// The end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The current epoch.
    pub epoch: Epoch,
    /// The tick that the epoch's positions begin behind.
    pub first_tick: Tick,
    /// The last tick.
    pub last_tick: Tick,
    /// The oldest tick whose snapshot is kept: replay reaches back to behind it.
    pub horizon: Tick,
}

/// A run of the log.
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
    /// In id order.
    pub readings: Vec<Reading>,
}

/// Where a client's position leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// The log reaches back to it; read on from here.
    From(Position),
    /// What lies between cannot be had; read on from `to`.
    Gap(Gap),
    /// It names a place that does not exist yet.
    Ahead,
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
    at: OffsetDateTime,
}

#[derive(FromRow)]
struct LogRow {
    xid: String,
    #[sqlx(flatten)]
    row: Row,
}

/// The most ticks that one page looks at: 2,000 snapshots are about 100 kB.
const TICKS_PER_PAGE: i64 = 2_000;

/// The log's end, on any connection.
pub(crate) async fn head(connection: &mut PgConnection) -> Result<Option<Head>> {
    let row: Option<(i64, i64, i64, i64)> = sqlx::query_as(
        "select e.epoch, e.first_tick, t.last, t.first
           from (select epoch, first_tick from rowcast.epoch order by epoch desc limit 1) e,
                (select max(no) as last, min(no) as first from rowcast.tick) t",
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|(epoch, first_tick, last, first)| Head {
        epoch: Epoch(epoch),
        first_tick: Tick(first_tick),
        last_tick: Tick(last),
        horizon: Tick(first),
    }))
}

/// The readings in (after, end of `upto`], at most about `limit` of them: a page ends with a tick, unless a single
/// tick holds more. `after` must lie in a tick that exists.
pub(crate) async fn read_page(
    connection: &mut PgConnection,
    after: Position,
    upto: Tick,
    limit: i64,
) -> std::result::Result<Page, ReadError> {
    // the snapshot that the first wanted tick is told from
    let base = if after.ends_tick() { after.tick } else { Tick(after.tick.0 - 1) };
    let mut ticks: Vec<TickRow> = sqlx::query_as(
        "select no, epoch, snap::text, rows, at from rowcast.tick where no >= $1 and no <= $2 order by no limit $3",
    )
    .bind(base.0)
    .bind(upto.0)
    .bind(TICKS_PER_PAGE)
    .fetch_all(&mut *connection)
    .await?;
    if ticks.first().is_none_or(|tick| tick.no != base.0) {
        return Err(ReadError::Forgotten(after));
    }
    let mut rows = 0;
    let fitting = ticks[1..]
        .iter()
        .take_while(|tick| {
            rows += tick.rows;
            rows <= limit
        })
        .count();
    match ticks.get(1) {
        None => Ok(Page { ticks: Vec::new(), covered: after }),
        Some(first) if fitting == 0 => read_chunk(connection, first, after, limit).await,
        Some(_) => {
            ticks.truncate(1 + fitting);
            read_ticks(connection, &ticks, after).await
        }
    }
}

/// Whole ticks: `ticks[0]` is the one before the first that is wanted.
async fn read_ticks(
    connection: &mut PgConnection,
    ticks: &[TickRow],
    after: Position,
) -> std::result::Result<Page, ReadError> {
    let snapshots = ticks
        .iter()
        .map(|tick| tick.snap.parse())
        .collect::<std::result::Result<Vec<Snapshot>, _>>()
        .map_err(|e| sqlx::Error::Decode(e.into()))?;
    let last = &ticks[ticks.len() - 1];
    let rows: Vec<LogRow> = sqlx::query_as(
        r#"select xid::text, id, sensor_id, value, "timestamp", metadata::text, created_at, updated_at
             from rowcast.between_snapshots($1::pg_snapshot, $2::pg_snapshot,
                  (select floor_id from rowcast.epoch where epoch = $3), null)"#,
    )
    .bind(&ticks[0].snap)
    .bind(&last.snap)
    .bind(last.epoch)
    .fetch_all(connection)
    .await?;
    let mut page = Page {
        ticks: ticks[1..]
            .iter()
            .map(|tick| TickReadings {
                epoch: Epoch(tick.epoch),
                tick: Tick(tick.no),
                at: tick.at,
                readings: Vec::new(),
            })
            .collect(),
        covered: Position::after_tick(Epoch(last.epoch), Tick(last.no)),
    };
    // rows come in id order, so each tick's readings stay in it
    for LogRow { xid, row } in rows {
        let xid = xid.parse().map_err(|_| sqlx::Error::Decode(format!("not an xid: {xid}").into()))?;
        // snapshots only ever show more, so the first that shows the row is found by halving
        let tick = snapshots[1..].partition_point(|snapshot| !snapshot.shows(xid));
        let reading = Reading::from(row);
        let tick = &mut page.ticks[tick];
        if tick.tick != after.tick || reading.id > after.id {
            tick.readings.push(reading);
        }
    }
    page.ticks.retain(|tick| !tick.readings.is_empty());
    Ok(page)
}

/// A part of a tick that holds more than a page does.
async fn read_chunk(
    connection: &mut PgConnection,
    tick: &TickRow,
    after: Position,
    limit: i64,
) -> std::result::Result<Page, ReadError> {
    let (epoch, no) = (Epoch(tick.epoch), Tick(tick.no));
    let after_id = (after.tick == no && after.id > 0).then_some(after.id);
    let rows: Vec<Row> = sqlx::query_as(
        r#"select id, sensor_id, value, "timestamp", metadata::text, created_at, updated_at
             from rowcast.tick_chunk($1, (select floor_id from rowcast.epoch where epoch = $2), $3, $4)"#,
    )
    .bind(no.0)
    .bind(epoch.0)
    .bind(after_id)
    .bind(limit)
    .fetch_all(connection)
    .await?;
    let readings: Vec<Reading> = rows.into_iter().map(Reading::from).collect();
    let covered = match readings.last() {
        Some(last) if i64::try_from(readings.len()).is_ok_and(|n| n == limit) => {
            Position::new(epoch, no, last.id)
        }
        _ => Position::after_tick(epoch, no),
    };
    Ok(Page { ticks: vec![TickReadings { epoch, tick: no, at: tick.at, readings }], covered })
}

impl Database {
    /// The log's end.
    pub async fn head(&self) -> Result<Head> {
        let mut connection = self.pool.acquire().await?;
        head(&mut connection).await?.ok_or(Error(sqlx::Error::RowNotFound))
    }

    /// The readings in (after, end of `upto`], at most about `limit` of them.
    pub async fn read(
        &self,
        after: Position,
        upto: Tick,
        limit: i64,
    ) -> std::result::Result<Page, ReadError> {
        let mut connection = self.pool.acquire().await?;
        read_page(&mut connection, after, upto, limit).await
    }

    /// What a client's position is worth.
    pub async fn resume(&self, from: Position) -> Result<Resume> {
        let mut connection = self.pool.acquire().await?;
        let head = head(&mut connection).await?.ok_or(Error(sqlx::Error::RowNotFound))?;
        // the epochs from the position's own on
        let epochs: Vec<(i64, i64, i64)> = sqlx::query_as(
            "select epoch, first_tick, system_identifier from rowcast.epoch where epoch >= $1 order by epoch",
        )
        .bind(from.epoch.0)
        .fetch_all(&mut *connection)
        .await?;
        let gap = |to, reason| Resume::Gap(Gap { from, to, reason });
        if from.epoch > head.epoch {
            return Ok(Resume::Ahead);
        }
        if epochs.first().is_none_or(|own| own.0 != from.epoch.0) {
            return Ok(gap(Position::after_tick(head.epoch, head.first_tick), GapReason::Epoch));
        }
        for pair in epochs.windows(2) {
            let ((_, _, system), (epoch, first_tick, next_system)) = (pair[0], pair[1]);
            // a promotion keeps the ticks before its first one; anything else keeps none
            if system != next_system || from.tick >= Tick(first_tick) {
                return Ok(gap(Position::after_tick(Epoch(epoch), Tick(first_tick)), GapReason::Epoch));
            }
        }
        if from.tick > head.last_tick {
            return Ok(Resume::Ahead);
        }
        let base = if from.ends_tick() { from.tick } else { Tick(from.tick.0 - 1) };
        if base < head.horizon {
            return Ok(gap(Position::after_tick(head.epoch, head.horizon), GapReason::Retention));
        }
        Ok(Resume::From(from))
    }

    /// The newest reading of each sensor that `filter` wants among those up to `at`, by their own time; of at most
    /// `limit` sensors, in the order of their ids.
    pub async fn latest(
        &self,
        filter: &Filter,
        at: Position,
        limit: i64,
    ) -> std::result::Result<Vec<Reading>, ReadError> {
        let mut connection = self.pool.acquire().await?;
        let mut transaction = connection.begin().await?;
        let snap: Option<(String, Option<String>)> = sqlx::query_as(
            "select snap::text, (select snap::text from rowcast.tick where no = $1 - 1) from rowcast.tick where no = $1",
        )
        .bind(at.tick.0)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some((snap, before)) = snap else { return Err(ReadError::Forgotten(at)) };
        let (exact, prefixes) = match filter {
            Filter::All => (Vec::new(), vec![String::new()]),
            Filter::Any(patterns) => patterns.iter().fold((Vec::new(), Vec::new()), |mut lists, pattern| {
                match pattern {
                    Pattern::Exact(id) => lists.0.push(id.clone()),
                    Pattern::Prefix(prefix) => lists.1.push(prefix.clone()),
                }
                lists
            }),
        };
        let rows: Vec<Row> = sqlx::query_as(
            r#"with recursive walk (sensor_id) as (
                   select min(sensor_id) from public.sensor_readings
                    where cardinality($2::text[]) > 0
                   union all
                   select (select min(r.sensor_id) from public.sensor_readings r where r.sensor_id > walk.sensor_id)
                     from walk where walk.sensor_id is not null
               ), wanted (sensor_id) as (
                   select sensor_id from walk
                    where sensor_id is not null and exists (
                          select from unnest($2::text[]) prefix where starts_with(sensor_id, prefix))
                   union
                   select unnest($1::text[])
                   order by 1 limit $6
               )
               select newest.* from wanted, lateral (
                   select id, r.sensor_id, value, "timestamp", metadata::text, created_at, updated_at
                     from public.sensor_readings r
                    where r.sensor_id = wanted.sensor_id
                      and (pg_visible_in_snapshot(xid, $3::pg_snapshot)
                           and (id <= $5 or pg_visible_in_snapshot(xid, coalesce($4::pg_snapshot, $3::pg_snapshot))))
                    order by "timestamp" desc, id desc limit 1
               ) newest order by newest.sensor_id"#,
        )
        .bind(exact)
        .bind(prefixes)
        .bind(snap)
        .bind(before)
        .bind(at.id)
        .bind(limit)
        .fetch_all(&mut *transaction)
        .await?;
        Ok(rows.into_iter().map(Reading::from).collect())
    }
}
