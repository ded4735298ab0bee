//! The newest reading of each sensor, as of a log position.

use sqlx::FromRow;
use wire::{Filter, Position, Reading};

use crate::{
    deadline::within,
    error::Result,
    log::{PAGE_BYTES, ReadError},
    metrics::Statement,
    patterns::lists,
    pool::Database,
    readings::MaybeRow,
    session::Session,
};

/// A page of the newest readings.
#[derive(Debug, Clone, Default)]
pub struct Latest {
    /// In the order of their sensors' ids.
    pub newest: Vec<Reading>,
    /// The sensor after which the next page begins, if there may be one.
    pub next: Option<String>,
}

/// Walks over the ids of each prefix by the index (sensor ids are ordered by their bytes, so those of a prefix are
/// adjacent), then takes each sensor's newest reading that the snapshot shows. Public so that a test can check its plan.
pub const LATEST: &str = r#"
    with recursive walk (prefix, sensor_id, n) as (
        select p.prefix, (select r.sensor_id from public.sensor_readings r
                           where r.sensor_id >= p.prefix and r.sensor_id > $7 order by r.sensor_id limit 1), 1
          from unnest($2::text[]) p (prefix)
        union all
        select w.prefix, (select r.sensor_id from public.sensor_readings r
                           where r.sensor_id > w.sensor_id order by r.sensor_id limit 1), w.n + 1
          from walk w where w.n < $6 and starts_with(w.sensor_id, w.prefix)
    ), wanted (sensor_id) as (
        select sensor_id from walk where starts_with(sensor_id, prefix)
        union
        select id collate "C" from unnest($1::text[]) id where id collate "C" > $7
        order by 1 limit $6
    )
    select wanted.sensor_id as wanted, newest.* from wanted left join lateral (
        select id, r.sensor_id, value, "timestamp", rowcast.told(metadata) as metadata, created_at, updated_at
          from public.sensor_readings r
         where r.sensor_id = wanted.sensor_id
           and pg_visible_in_snapshot(xid, $3::pg_snapshot)
           and (id <= $5 or pg_visible_in_snapshot(xid, coalesce($4::pg_snapshot, $3::pg_snapshot)))
         order by "timestamp" desc, id desc limit 1
    ) newest on true order by wanted.sensor_id"#;

#[derive(FromRow)]
struct LatestRow {
    wanted: String,
    #[sqlx(flatten)]
    row: MaybeRow,
}

impl Database {
    /// The newest reading, by its own timestamp, of each sensor that `filter` matches, among those up to `at`; for the
    /// next `limit` sensors after `after`, in the order of their ids. A page is closed early when its metadata has
    /// [`PAGE_BYTES`].
    pub async fn latest(
        &self,
        filter: &Filter,
        at: Position,
        after: Option<&str>,
        limit: i64,
    ) -> std::result::Result<Latest, ReadError> {
        let mut pooled = self.acquire().await?;
        let snaps = within(pooled.limit(), snapshots(pooled.session(), at)).await?;
        let Some((snap, before)) = snaps? else {
            pooled.release().await;
            return Err(ReadError::Forgotten(at));
        };
        let (exact, prefixes) = lists(filter);
        let query = sqlx::query_as(LATEST)
            .bind(exact)
            .bind(prefixes)
            .bind(snap)
            .bind(before)
            .bind(at.id)
            .bind(limit)
            .bind(after.unwrap_or(""));
        let (mut latest, mut count, mut bytes) = (Latest::default(), 0, 0);
        let read = async {
            let mut rows = pooled.session().stream(Statement::Latest, query);
            while let Some(LatestRow { wanted, row }) = rows.next().await? {
                count += 1;
                latest.next = Some(wanted);
                let reading = row.reading();
                bytes += reading.as_ref().map_or(0, |reading| reading.metadata.len());
                latest.newest.extend(reading);
                if bytes >= PAGE_BYTES {
                    // the query is abandoned: what the server would still send may be many times as large
                    return Ok(false);
                }
            }
            Result::Ok(true)
        };
        let whole = within(self.limit(), read).await??;
        if whole {
            pooled.release().await;
            latest.next = latest.next.filter(|_| count == limit);
        }
        Ok(latest)
    }
}

/// The snapshots of a position's tick and of the tick before; `None` where its epoch is not part of this history.
async fn snapshots(session: &mut Session, at: Position) -> Result<Option<(String, Option<String>)>> {
    let query = sqlx::query_as(
        "select snap::text, (select snap::text from rowcast.tick where no = $1 - 1) from rowcast.tick
          where no = $1 and exists (select from rowcast.epoch where epoch = $2)",
    );
    session.optional(Statement::Ticks, query.bind(at.tick.0).bind(at.epoch.0)).await
}
