//! What has changed of keys and revocations, in pages, for services that keep them in memory.

use auth::{KeyId, KeyRecord, Revocation};
use sqlx::FromRow;

use super::row::{KeyRow, RevocationRow, columns, id};
use crate::{deadline::within, error::Result, metrics::Statement, pool::Database, session::Session};

/// Rows of one page at most.
const PAGE_ROWS: i64 = 1_000;

/// A page is closed early when its keys have so many bytes.
const PAGE_BYTES: usize = 1 << 20;

/// Ids of one note of use.
const NOTED_AT_ONCE: usize = 1_000;

/// How far a follower has come; it begins with the default. Numbers of keys and of revocations are followed apart: two
/// statements see two moments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Followed {
    history: String,
    keys: i64,
    revocations: i64,
}

/// A page of changes.
#[derive(Debug)]
pub struct Changes {
    /// What the follower has is void, and this is the first page of all that there is: it has just begun, rows were deleted,
    /// or the database was restored.
    pub is_anew: bool,
    /// Keys as they are now.
    pub keys: Vec<KeyChange>,
    /// Revocations as they are now. One that was taken back has ended.
    pub revocations: Vec<Revocation>,
    /// Whether more follows at once.
    pub more: bool,
    /// How far this page comes.
    pub followed: Followed,
}

/// A key that was made or changed.
#[derive(Debug, PartialEq)]
pub struct KeyChange {
    /// Which.
    pub id: KeyId,
    /// What it is now; `None` where this release does not understand it, so that it must not be used.
    pub record: Option<KeyRecord>,
}

#[derive(FromRow)]
struct ChangedKey {
    #[sqlx(flatten)]
    key: KeyRow,
    changed: i64,
}

#[derive(FromRow)]
struct ChangedRevocation {
    #[sqlx(flatten)]
    revocation: RevocationRow,
    changed: i64,
}

/// The rows of a page.
struct PageRows<T> {
    rows: Vec<T>,
    /// Up to this number, all was read.
    last: i64,
    more: bool,
    /// The statement was abandoned, and with it the connection.
    is_abandoned: bool,
}

impl Database {
    /// The next page of what has changed since. Changes become visible in the order of their numbers, so that none is
    /// missed, however late its transaction commits.
    pub async fn changes_since(&self, followed: &Followed) -> Result<Changes> {
        let mut pooled = self.acquire().await?;
        let read = within(pooled.limit(), page(pooled.session(), followed)).await?;
        let is_abandoned = read.as_ref().is_ok_and(|(_, is_abandoned)| *is_abandoned);
        if is_abandoned {
            return read.map(|(changes, _)| changes);
        }
        pooled.finish(read.map(|(changes, _)| changes)).await
    }

    /// Notes that these keys were used just now: at most once a minute each, however often it is called.
    pub async fn note_use(&self, ids: &[KeyId]) -> Result<()> {
        let mut pooled = self.acquire().await?;
        for ids in ids.chunks(NOTED_AT_ONCE) {
            let ids: Vec<&str> = ids.iter().map(KeyId::as_str).collect();
            let query = sqlx::query("select rowcast.note_use($1)").bind(ids);
            let noted = within(pooled.limit(), pooled.session().rows(Statement::Keys, query)).await?;
            if let Err(error) = noted {
                return pooled.finish(Err(error)).await;
            }
        }
        pooled.release().await;
        Ok(())
    }
}

async fn page(session: &mut Session, followed: &Followed) -> Result<(Changes, bool)> {
    let state = sqlx::query_as("select history, last from rowcast.change_state()");
    let (history, last): (String, i64) = session.one(Statement::Keys, state).await?;
    let is_anew = history != followed.history || last < followed.keys.max(followed.revocations);
    let from = if is_anew { &Followed::default() } else { followed };
    let keys = keys_after(session, from.keys).await?;
    if keys.is_abandoned {
        let revocations =
            PageRows { rows: Vec::new(), last: from.revocations, more: true, is_abandoned: false };
        return Ok((changes(history, is_anew, keys, revocations), true));
    }
    let revocations = revocations_after(session, from.revocations).await?;
    Ok((changes(history, is_anew, keys, revocations), false))
}

fn changes(
    history: String,
    is_anew: bool,
    keys: PageRows<ChangedKey>,
    revocations: PageRows<ChangedRevocation>,
) -> Changes {
    let followed = Followed { history, keys: keys.last, revocations: revocations.last };
    let key = |ChangedKey { key, .. }: ChangedKey| {
        let Some(id) = id(&key.id) else {
            tracing::error!(id = key.id, "a key is left out: its id is not as this release knows ids");
            return None;
        };
        let record = key.record();
        if record.is_none() {
            tracing::error!(%id, "a key is not used: it is not as this release knows keys");
        }
        Some(KeyChange { id, record })
    };
    let revocations_now = revocations.rows.into_iter().filter_map(|row| row.revocation.revocation());
    Changes {
        is_anew,
        more: keys.more || revocations.more,
        keys: keys.rows.into_iter().filter_map(key).collect(),
        revocations: revocations_now.collect(),
        followed,
    }
}

async fn keys_after(session: &mut Session, after: i64) -> Result<PageRows<ChangedKey>> {
    let query = sqlx::query_as(concat!(
        "select ",
        columns!(),
        ", changed from rowcast.api_key where changed > $1 order by changed limit $2"
    ));
    let mut stream = session.stream(Statement::Keys, query.bind(after).bind(PAGE_ROWS));
    let mut page = PageRows { rows: Vec::new(), last: after, more: false, is_abandoned: false };
    let mut bytes = 0;
    while let Some(row) = stream.next().await? {
        let row: ChangedKey = row;
        page.last = row.changed;
        bytes += row.key.bytes();
        page.rows.push(row);
        if bytes >= PAGE_BYTES {
            // what the server would still send may be many times as large
            page.is_abandoned = true;
            break;
        }
    }
    page.more = page.is_abandoned || page.rows.len() as i64 == PAGE_ROWS;
    Ok(page)
}

/// These are bounded by their rows: each has at most 2,000 bytes of text.
async fn revocations_after(session: &mut Session, after: i64) -> Result<PageRows<ChangedRevocation>> {
    let query = sqlx::query_as(
        "select issuer, kind, value, expires_at, changed from rowcast.revocation
          where changed > $1 order by changed limit $2",
    );
    let rows: Vec<ChangedRevocation> =
        session.all(Statement::Keys, query.bind(after).bind(PAGE_ROWS)).await?;
    let last = rows.last().map_or(after, |row| row.changed);
    Ok(PageRows { last, more: rows.len() as i64 == PAGE_ROWS, rows, is_abandoned: false })
}
