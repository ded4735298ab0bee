//! What has a key is stored once, however often it is sent: requests by their `Idempotency-Key`, readings by their own.
//!
//! All of it is written in one transaction with the readings, so that a crash leaves either nothing or the answer.

use sha2::{Digest, Sha256};
use sqlx::{FromRow, Row as _};
use time::OffsetDateTime;
use tokio::time::Instant;
use wire::Reading;

use super::{Inserter, NewReading, StoredReading};
use crate::{
    error::{Error, Result},
    metrics::Statement,
};

/// A key that another transaction holds is waited for no longer, and neither is a client that does not end its own.
const SETTINGS: &str =
    "set local lock_timeout = '500ms'; set local idle_in_transaction_session_timeout = '5s'";

/// Whose key it is, and the key: what a request is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; 32]);

impl RequestId {
    /// The same key of another scope is another request.
    pub fn new(scope: &str, key: &str) -> Self {
        Self(digest([scope.as_bytes(), key.as_bytes()]))
    }
}

/// The SHA-256 of several parts, each with its length before it.
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its media type, if it has a body.
    pub content_type: Option<String>,
    /// Its body.
    pub body: Vec<u8>,
}

/// An answer that is kept, and the digest of the request that it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Another one with the same key is not this request.
    pub request: [u8; 32],
    /// The answer.
    pub answer: Answer,
}

/// What is known of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Nothing, and it is this transaction's to store.
    Free,
    /// Another transaction is storing it.
    Busy,
    /// It was stored.
    Known(Kept),
}

/// A reading, and in whose scope its key is unique.
#[derive(Debug, Clone, Copy)]
pub struct Scoped<'a> {
    /// Whose keys these are.
    pub scope: &'a str,
    /// The reading.
    pub reading: &'a NewReading,
}

/// A reading as it is in the table.
#[derive(Debug, PartialEq)]
pub struct Once {
    /// As it was stored first.
    pub reading: Reading,
    /// Stored now, and not before.
    pub is_new: bool,
}

/// A transaction that stores what has keys. One that is dropped leaves the connection unusable.
pub struct Keyed<'a> {
    inserter: &'a mut Inserter,
    not_after: OffsetDateTime,
}

#[derive(FromRow)]
struct ClaimRow {
    is_free: bool,
    request: Option<Vec<u8>>,
    status: Option<i16>,
    content_type: Option<String>,
    body: Option<Vec<u8>>,
}

impl ClaimRow {
    fn claim(self) -> Claim {
        let request = self.request.and_then(|request| request.try_into().ok());
        let status = self.status.and_then(|status| status.try_into().ok());
        match (request, status, self.body) {
            (Some(request), Some(status), Some(body)) => Claim::Known(Kept {
                request,
                answer: Answer { status, content_type: self.content_type, body },
            }),
            _ if self.is_free => Claim::Free,
            _ => Claim::Busy,
        }
    }
}

#[derive(FromRow)]
struct KnownRow {
    place: i64,
    id: i64,
    value: f64,
    timestamp: OffsetDateTime,
    metadata: String,
    created_at: OffsetDateTime,
}

impl Inserter {
    /// Begins a transaction, which will not be committed past the deadline.
    pub async fn begin_keyed(&mut self, deadline: Instant) -> Result<Keyed<'_>> {
        let not_after = self.not_after(deadline);
        self.session.begin_with(SETTINGS).await?;
        Ok(Keyed { inserter: self, not_after })
    }

    /// Which of these readings the table refuses, each by its error; nothing is stored. They are tried together and then by
    /// halves, so that a few among many are found soon.
    pub async fn refused(
        &mut self,
        readings: &[&NewReading],
        deadline: Instant,
    ) -> Result<Vec<(usize, Error)>> {
        let not_after = self.not_after(deadline);
        self.session.begin_with("savepoint before").await?;
        let (mut refused, mut parts) = (Vec::new(), vec![(0, readings.len())]);
        while let Some((start, end)) = parts.pop() {
            match super::insert(&mut self.session, &readings[start..end], not_after).await {
                Err(error) if error.is_data_error() && end - start > 1 => {
                    let middle = start.midpoint(end);
                    parts.extend([(middle, end), (start, middle)]);
                }
                Err(error) if error.is_data_error() => refused.push((start, error)),
                tried => drop(tried?),
            }
            self.session.run("rollback to savepoint before").await?;
        }
        self.session.roll_back().await?;
        self.answered_at = Instant::now();
        Ok(refused)
    }
}

impl Keyed<'_> {
    /// Claims these requests, each different, until the transaction ends.
    pub async fn claim(&mut self, requests: &[RequestId]) -> Result<Vec<Claim>> {
        let ids: Vec<&[u8]> = requests.iter().map(|id| id.0.as_slice()).collect();
        let query = sqlx::query_as(
            "select is_free, request, status, content_type, body from rowcast.claim_requests($1)",
        )
        .bind(ids);
        let rows: Vec<ClaimRow> = self.inserter.session.all(Statement::Claim, query).await?;
        Ok(rows.into_iter().map(ClaimRow::claim).collect())
    }

    /// Stores those that are new, in their order, and finds the others; none when it is too late. After an error in the data
    /// the transaction is over.
    pub async fn insert(&mut self, readings: &[Scoped<'_>]) -> Result<Option<Vec<Once>>> {
        if readings.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let inserted = self.insert_new(readings).await;
        match &inserted {
            Err(error) if error.is_data_error() || error.is_lock_timeout() => {
                self.inserter.session.roll_back().await?
            }
            _ => {}
        }
        let Some(mut all) = inserted? else { return Ok(None) };
        self.find_known(readings, &mut all).await?;
        // one is missing when its key was forgotten this moment: it is late, and may be repeated
        Ok(all.into_iter().collect())
    }

    /// The new ones; a gap for each that is known.
    async fn insert_new(&mut self, readings: &[Scoped<'_>]) -> Result<Option<Vec<Option<Once>>>> {
        let plain: Vec<&NewReading> = readings.iter().map(|scoped| scoped.reading).collect();
        if plain.iter().all(|reading| reading.key.is_none()) {
            let rows = super::insert(&mut self.inserter.session, &plain, self.not_after).await?;
            let stored = super::StoredReadings(rows).read()?;
            let new = |(reading, stored): (&&NewReading, _)| {
                Some(Once { reading: NewReading::clone(reading).stored(stored), is_new: true })
            };
            let all: Vec<_> = plain.iter().zip(stored).map(new).collect();
            return Ok((!all.is_empty()).then_some(all));
        }
        let column = |f: fn(&NewReading) -> &str| plain.iter().map(|r| f(r)).collect::<Vec<_>>();
        // Ids are taken in the order of the readings, whichever of them are new. Keys are taken in the order of their digests
        // in every transaction, so that no two wait for each other.
        let query = sqlx::query(INSERT_KEYED)
            .bind(column(|r| &r.sensor_id))
            .bind(plain.iter().map(|r| r.value).collect::<Vec<_>>())
            .bind(plain.iter().map(|r| r.timestamp).collect::<Vec<_>>())
            .bind(column(|r| &r.metadata))
            .bind(plain.iter().map(|r| r.traceparent.as_deref()).collect::<Vec<_>>())
            .bind(plain.iter().map(|r| r.key.as_deref()).collect::<Vec<_>>())
            .bind(readings.iter().map(|scoped| scoped.digest()).collect::<Vec<_>>())
            .bind(self.not_after);
        let rows = self.inserter.session.rows(Statement::Insert, query).await?;
        let mut all = Vec::with_capacity(plain.len());
        for (row, reading) in rows.into_iter().zip(plain) {
            let id: Option<i64> = row.try_get(0)?;
            let Some(id) = id else {
                all.push(None);
                continue;
            };
            let stored = StoredReading {
                id,
                timestamp: row.try_get(1)?,
                metadata: row.try_get(2)?,
                created_at: row.try_get(3)?,
            };
            all.push(Some(Once { reading: reading.clone().stored(stored), is_new: true }));
        }
        Ok((!all.is_empty()).then_some(all))
    }

    /// Fills the gaps with what was stored first.
    async fn find_known(&mut self, readings: &[Scoped<'_>], all: &mut [Option<Once>]) -> Result<()> {
        let known: Vec<usize> = (0..all.len()).filter(|place| all[*place].is_none()).collect();
        if known.is_empty() {
            return Ok(());
        }
        let query = sqlx::query_as(FIND_KNOWN)
            .bind(known.iter().map(|place| readings[*place].digest()).collect::<Vec<_>>())
            .bind(known.iter().map(|place| readings[*place].reading.metadata.as_str()).collect::<Vec<_>>());
        let rows: Vec<KnownRow> = self.inserter.session.all(Statement::Claim, query).await?;
        for row in rows {
            let place = usize::try_from(row.place - 1).ok().and_then(|place| known.get(place).copied());
            let Some(place) = place else { continue };
            let KnownRow { id, value, timestamp, metadata, created_at, .. } = row;
            let first = NewReading { value, ..readings[place].reading.clone() };
            let stored = StoredReading { id, timestamp, metadata, created_at };
            all[place] = Some(Once { reading: first.stored(stored), is_new: false });
        }
        Ok(())
    }

    /// Keeps the answers to requests that this transaction has claimed.
    pub async fn keep(&mut self, answers: &[(RequestId, Kept)]) -> Result<()> {
        let all: Vec<&Answer> = answers.iter().map(|(_, kept)| &kept.answer).collect();
        let query = sqlx::query(
            "insert into rowcast.request_key (id, request, status, content_type, body)
             select * from unnest($1::bytea[], $2::bytea[], $3::int2[], $4::text[], $5::bytea[])",
        )
        .bind(answers.iter().map(|(id, _)| id.0.as_slice()).collect::<Vec<_>>())
        .bind(answers.iter().map(|(_, kept)| kept.request.as_slice()).collect::<Vec<_>>())
        .bind(all.iter().map(|answer| answer.status.cast_signed()).collect::<Vec<_>>())
        .bind(all.iter().map(|answer| answer.content_type.as_deref()).collect::<Vec<_>>())
        .bind(all.iter().map(|answer| answer.body.as_slice()).collect::<Vec<_>>());
        self.inserter.session.rows(Statement::Claim, query).await.map(drop)
    }

    /// Commits; returns whether it was before the deadline. Otherwise nothing is stored, and the connection must not be used
    /// again.
    pub async fn commit(self) -> Result<bool> {
        let is_committed = self.inserter.session.end_before(self.not_after).await?;
        self.inserter.answered_at = Instant::now();
        Ok(is_committed)
    }

    /// Stores nothing.
    pub async fn roll_back(self) -> Result<()> {
        self.inserter.session.roll_back().await?;
        self.inserter.answered_at = Instant::now();
        Ok(())
    }
}

impl Scoped<'_> {
    /// What the reading is known by, if it has a key: unique in its scope, for its sensor and time as sent.
    fn digest(&self) -> Option<Vec<u8>> {
        let key = self.reading.key.as_ref()?;
        let time = self.reading.timestamp.map(|at| at.unix_timestamp_nanos().to_be_bytes());
        let time = time.as_ref().map_or(&[][..], |bytes| &bytes[..]);
        let parts = [self.scope.as_bytes(), self.reading.sensor_id.as_bytes(), time, key.as_bytes()];
        Some(digest(parts).to_vec())
    }
}

/// One row for each of the given readings; without an id where the key is known. No row when it is too late.
const INSERT_KEYED: &str = r#"
with given as materialized (
    select place, nextval('public.sensor_readings_id_seq') as id, sensor_id, value, coalesce(at, now()) as at,
           metadata::jsonb as metadata, traceparent, key, digest
      from unnest($1::text[], $2::float8[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::bytea[])
           with ordinality as given (sensor_id, value, at, metadata, traceparent, key, digest, place)
     where (select clock_timestamp() < $8 and set_config('synchronous_commit',
            case current_setting('synchronous_commit') when 'off' then 'on'
                 else current_setting('synchronous_commit') end, true) is not null)
), taken as (
    insert into rowcast.reading_key (id, reading_id, value, "timestamp")
    select distinct on (digest) digest, id, value, at from given where digest is not null order by digest, place
    on conflict (id) do nothing
    returning reading_id
), fresh as (
    insert into public.sensor_readings (id, sensor_id, value, "timestamp", metadata, reading_key, traceparent)
    select id, sensor_id, value, at, metadata, key, traceparent
      from given where digest is null or id in (select reading_id from taken) order by place
    returning id, "timestamp", metadata::text, created_at
)
select fresh.id, fresh."timestamp", fresh.metadata, fresh.created_at
  from given left join fresh on fresh.id = given.id order by given.place"#;

/// The reading itself may be past its retention: then the metadata is what was sent now.
const FIND_KNOWN: &str = r#"
select given.place, k.reading_id as id, k.value, k."timestamp",
       coalesce(r.metadata, given.metadata::jsonb)::text as metadata, k.created_at
  from unnest($1::bytea[], $2::text[]) with ordinality as given (digest, metadata, place)
  join rowcast.reading_key k on k.id = given.digest
  left join public.sensor_readings r on r.id = k.reading_id and r.created_at = k.created_at"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_digest_do_not_run_into_each_other() {
        assert_ne!(RequestId::new("ab", "c"), RequestId::new("a", "bc"));
        assert_ne!(digest([&b"a"[..], b""]), digest([&b""[..], b"a"]));
        assert_eq!(RequestId::new("a", "b"), RequestId::new("a", "b"));
    }
}
