//! Readings of a span of time, whole or in buckets, in pages: every statement is bounded and read by index.

mod order;
pub mod statements;

use std::time::Duration;

use sqlx::FromRow;
use time::{OffsetDateTime, macros::datetime};
use wire::{Filter, Reading};

pub use self::order::Order;
use crate::{
    deadline::within,
    error::{Error, Result},
    interval::interval,
    metrics::Statement,
    patterns::lists,
    pool::Database,
    readings::Row,
};

/// The most sensors that are read one by one; where a filter matches more, the index by time is read and filtered.
pub const MAX_SENSORS: usize = 256;

/// All times that the schema allows, half-open.
pub const ALL_TIME: Span =
    Span { from: datetime!(0001-01-01 00:00 UTC), to: datetime!(9999-12-31 00:00 UTC) };

/// Half-open: from `from` to before `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first instant in it.
    pub from: OffsetDateTime,
    /// The first instant after it.
    pub to: OffsetDateTime,
}

/// A reading's key in the order by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadingKey {
    /// Its own time.
    pub timestamp: OffsetDateTime,
    /// Its id, for those of one time.
    pub id: i64,
}

/// Which page is requested.
#[derive(Debug, Clone, Copy)]
pub struct PageQuery<'a, K> {
    /// The sensors.
    pub filter: &'a Filter,
    /// The time span, by the readings' own timestamps.
    pub span: Span,
    /// The order by time.
    pub order: Order,
    /// The key after which the page begins.
    pub after: Option<K>,
    /// The most rows.
    pub limit: usize,
}

/// A page of rows.
#[derive(Debug)]
pub struct Rows<T> {
    /// In order.
    pub rows: Vec<T>,
    /// Whether more rows follow.
    pub more: bool,
}

/// A bucket's key in the order by time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketKey {
    /// Its beginning.
    pub bucket: OffsetDateTime,
    /// Its sensor, for those of one time.
    pub sensor_id: String,
}

/// The aggregates of a sensor's readings within one interval.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct Bucket {
    /// The sensor.
    pub sensor_id: String,
    /// Its beginning: a whole number of its lengths after 1970.
    pub bucket: OffsetDateTime,
    /// The number of readings.
    pub count: i64,
    /// The least value.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// Their mean.
    pub avg: f64,
}

/// A sensor's newest and oldest reading, which are found without counting.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensor {
    /// The newest reading by its own time.
    pub newest: Reading,
    /// The oldest.
    pub oldest: Reading,
}

/// Why buckets could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// The filter matches more sensors than can be read at once.
    #[error("the filter matches more than {MAX_SENSORS} sensors")]
    TooManySensors,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] Error),
}

/// The sensors that a filter matches.
enum Matching {
    /// These.
    These(Vec<String>),
    /// Too many to list.
    Many,
}

impl Database {
    /// Readings by their own time. A page is closed early when it has `max_bytes` of metadata.
    pub async fn readings(
        &self,
        wanted: PageQuery<'_, ReadingKey>,
        max_bytes: usize,
    ) -> Result<Rows<Reading>> {
        let PageQuery { filter, span, order, after, limit } = wanted;
        // from the key before the first of the span to its last instant, in the order's own direction
        let (near, far) = match order {
            Order::Ascending => {
                let start = ReadingKey { timestamp: span.from, id: i64::MIN };
                (after.filter(|after| after.timestamp >= span.from).unwrap_or(start), span.to)
            }
            Order::Descending => {
                let start = ReadingKey { timestamp: span.to, id: i64::MIN };
                (after.filter(|after| after.timestamp < span.to).unwrap_or(start), span.from)
            }
        };
        let query = match self.matching(filter).await? {
            Matching::These(sensors) => sqlx::query_as(statements::of_sensors(order)).bind(sensors),
            Matching::Many => {
                let (exact, prefixes) = lists(filter);
                sqlx::query_as(statements::of_many(order)).bind(exact).bind(prefixes)
            }
        };
        let query = query.bind(near.timestamp).bind(near.id).bind(far).bind(one_more(limit));
        let mut pooled = self.acquire().await?;
        let (mut rows, mut bytes) = (Vec::with_capacity(limit.min(1_000)), 0);
        let read = async {
            let mut stream = pooled.session().stream(Statement::History, query);
            while let Some(row) = stream.next().await? {
                let row: Row = row;
                let reading = Reading::from(row);
                if rows.len() == limit || bytes >= max_bytes {
                    return Result::Ok(true);
                }
                bytes += reading.metadata.len();
                rows.push(reading);
            }
            Ok(false)
        };
        let more = within(self.limit(), read).await??;
        // the connection of a page that was closed early is dropped: the rest of the result may be many times as large
        if !more || rows.len() == limit {
            pooled.release().await;
        }
        Ok(Rows { rows, more })
    }

    /// Buckets of `length`, those without readings left out. The first and the last hold the part of them that is in the
    /// span.
    pub async fn buckets(
        &self,
        wanted: PageQuery<'_, BucketKey>,
        length: Duration,
    ) -> std::result::Result<Rows<Bucket>, BucketError> {
        let PageQuery { filter, span, order, after, limit } = wanted;
        let Matching::These(sensors) = self.named(filter).await? else {
            return Err(BucketError::TooManySensors);
        };
        let Span { mut from, mut to } = span;
        let stretch = time::Duration::try_from(length).unwrap_or(time::Duration::MAX);
        // a page after a bucket need not read what is before it
        match (&after, order) {
            (Some(after), Order::Ascending) => from = from.max(after.bucket),
            (Some(after), Order::Descending) => to = to.min(after.bucket.saturating_add(stretch)),
            (None, _) => {}
        }
        let start = || BucketKey {
            bucket: match order {
                // the first bucket may begin before the span
                Order::Ascending => from.saturating_sub(stretch),
                Order::Descending => ALL_TIME.to,
            },
            sensor_id: String::new(),
        };
        let near = after.unwrap_or_else(start);
        let mut pooled = self.acquire().await?;
        let query = sqlx::query_as(statements::buckets(order))
            .bind(sensors)
            .bind(interval(length))
            .bind(from)
            .bind(to)
            .bind(near.bucket)
            .bind(near.sensor_id)
            .bind(one_more(limit));
        let read = within(pooled.limit(), pooled.session().all(Statement::Buckets, query)).await?;
        let mut rows: Vec<Bucket> = pooled.finish(read).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        Ok(Rows { rows, more })
    }

    /// A sensor's newest and oldest reading; `None` where it has no readings.
    pub async fn sensor(&self, sensor_id: &str) -> Result<Option<Sensor>> {
        let mut pooled = self.acquire().await?;
        let query = sqlx::query_as(statements::SENSOR).bind(sensor_id);
        let read = within(pooled.limit(), pooled.session().all(Statement::History, query)).await?;
        let rows: Vec<Row> = pooled.finish(read).await?;
        let mut readings = rows.into_iter().map(Reading::from);
        Ok(readings.next().zip(readings.next()).map(|(newest, oldest)| Sensor { newest, oldest }))
    }

    async fn matching(&self, filter: &Filter) -> Result<Matching> {
        match filter {
            Filter::All => Ok(Matching::Many),
            Filter::Any(_) => self.named(filter).await,
        }
    }

    /// The sensors that a filter matches, by id if they are few.
    async fn named(&self, filter: &Filter) -> Result<Matching> {
        let (mut exact, prefixes) = lists(filter);
        if prefixes.is_empty() {
            exact.sort_unstable();
            exact.dedup();
            return Ok(Matching::These(exact));
        }
        let mut pooled = self.acquire().await?;
        let query = sqlx::query_as(statements::WALK).bind(exact).bind(prefixes).bind(one_more(MAX_SENSORS));
        let read = within(pooled.limit(), pooled.session().all(Statement::History, query)).await?;
        let sensors: Vec<(String,)> = pooled.finish(read).await?;
        let sensors: Vec<String> = sensors.into_iter().map(|(sensor,)| sensor).collect();
        Ok(if sensors.len() > MAX_SENSORS { Matching::Many } else { Matching::These(sensors) })
    }
}

/// The limit of a statement that shows whether there are more rows than `limit`.
fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}
