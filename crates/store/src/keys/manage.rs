//! What an operator does with keys and revocations. Each change is one statement, which the table's triggers number and audit.

use std::time::Duration;

use auth::{KeyId, KeyRecord, Rate, Revocation, Revoked, SecretHash};
use serde::Serialize;
use sqlx::{Connection, PgConnection, Postgres, postgres::PgArguments, query::Query, types::Json};

use super::{
    error::KeyError,
    row::{RevocationRow, StoredKey, StoredKeyRow, columns, parts, time},
};
use crate::{
    connect::Options,
    deadline::within,
    error::{Error, Result},
};

/// How long one statement may take: another change may be under way, and a large import takes its time.
const STATEMENT_LIMIT: Duration = Duration::from_secs(60);

/// Keys of one statement of an import.
const IMPORTED_AT_ONCE: usize = 1_000;

/// A session that manages keys.
pub struct Keys {
    connection: PgConnection,
    limit: Duration,
}

/// What an import did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    /// Keys that were not there.
    pub created: u64,
    /// Keys that were different.
    pub changed: u64,
    /// Keys that were as they should be.
    pub unchanged: u64,
}

/// A key in the JSON that an insert reads.
#[derive(Serialize)]
struct NewKey<'a> {
    id: &'a str,
    name: &'a str,
    write_patterns: Vec<String>,
    read_patterns: Vec<String>,
    readings_per_second: Option<f64>,
    readings_burst: Option<u32>,
    requests_per_second: Option<f64>,
    requests_burst: Option<u32>,
    connections: Option<u32>,
    subscriptions: Option<u32>,
    expires_micros: Option<i64>,
    hashes: Vec<String>,
}

impl<'a> From<&'a KeyRecord> for NewKey<'a> {
    fn from(record: &'a KeyRecord) -> Self {
        let KeyRecord { id, name, write, read, limits, expires_at, is_revoked: _, secrets } = record;
        Self {
            id: id.as_str(),
            name,
            write_patterns: write.patterns().iter().map(ToString::to_string).collect(),
            read_patterns: read.patterns().iter().map(ToString::to_string).collect(),
            readings_per_second: limits.readings.map(Rate::per_second),
            readings_burst: limits.readings.map(Rate::burst),
            requests_per_second: limits.requests.map(Rate::per_second),
            requests_burst: limits.requests.map(Rate::burst),
            connections: limits.connections,
            subscriptions: limits.subscriptions,
            expires_micros: expires_at.map(|at| at.0),
            hashes: [Some(secrets.newest), secrets.older].iter().flatten().map(SecretHash::to_hex).collect(),
        }
    }
}

/// The keys of `$1` as rows.
macro_rules! given {
    () => {
        "select id, name, write_patterns, read_patterns, readings_per_second, readings_burst, requests_per_second,
                requests_burst, connections, subscriptions,
                timestamptz 'epoch' + expires_micros / 1000000 * interval '1 s' + expires_micros % 1000000 * interval '1 us'
                    as expires_at,
                array(select decode(hash, 'hex') from unnest(hashes) with ordinality h (hash, place) order by place) as hashes
           from jsonb_to_recordset($1) as given (
                id text, name text, write_patterns text[], read_patterns text[], readings_per_second float8,
                readings_burst integer, requests_per_second float8, requests_burst integer, connections integer,
                subscriptions integer, expires_micros bigint, hashes text[])"
    };
}

const CREATE: &str = concat!(
    "insert into rowcast.api_key (id, name, write_patterns, read_patterns, readings_per_second, readings_burst,
                                  requests_per_second, requests_burst, connections, subscriptions, expires_at, hashes) ",
    given!()
);

/// A row for each key that was not as given; whether it was revoked is not for an import to say.
const IMPORT: &str = concat!(
    "insert into rowcast.api_key as own (id, name, write_patterns, read_patterns, readings_per_second, readings_burst,
                                         requests_per_second, requests_burst, connections, subscriptions, expires_at, hashes) ",
    given!(),
    " on conflict (id) do update set
          (name, write_patterns, read_patterns, readings_per_second, readings_burst, requests_per_second, requests_burst,
           connections, subscriptions, expires_at, hashes)
        = (excluded.name, excluded.write_patterns, excluded.read_patterns, excluded.readings_per_second,
           excluded.readings_burst, excluded.requests_per_second, excluded.requests_burst, excluded.connections,
           excluded.subscriptions, excluded.expires_at, excluded.hashes)
       where (own.name, own.write_patterns, own.read_patterns, own.readings_per_second, own.readings_burst,
              own.requests_per_second, own.requests_burst, own.connections, own.subscriptions, own.expires_at, own.hashes)
        is distinct from
             (excluded.name, excluded.write_patterns, excluded.read_patterns, excluded.readings_per_second,
              excluded.readings_burst, excluded.requests_per_second, excluded.requests_burst, excluded.connections,
              excluded.subscriptions, excluded.expires_at, excluded.hashes)
   returning created_at = now()"
);

impl Keys {
    /// Connects, as a user who has the rights of `rowcast_keys`.
    pub async fn connect(options: &Options) -> Result<Self> {
        let options = options.clone().statement_timeout(STATEMENT_LIMIT);
        Ok(Self { connection: options.connect().await?, limit: options.limit() })
    }

    /// Stores a new key.
    pub async fn create(&mut self, record: &KeyRecord) -> std::result::Result<(), KeyError> {
        let query = sqlx::query(CREATE).bind(Json([NewKey::from(record)]));
        match within(self.limit, query.execute(&mut self.connection)).await?.map_err(Error) {
            Ok(_) => Ok(()),
            Err(error) if error.is_conflict() => Err(KeyError::Taken(record.id)),
            Err(error) => Err(error.into()),
        }
    }

    /// The next keys after an id, in the order of their ids, at most `limit`.
    pub async fn list(&mut self, after: Option<KeyId>, limit: i64) -> Result<Vec<StoredKey>> {
        let query = sqlx::query_as(concat!(
            "select ",
            columns!(),
            ", created_at, used_at from rowcast.api_key where id > $1 order by id limit $2"
        ));
        let query = query.bind(after.as_ref().map_or("", KeyId::as_str)).bind(limit);
        let rows: Vec<StoredKeyRow> = within(self.limit, query.fetch_all(&mut self.connection)).await??;
        rows.into_iter().map(|row| row.key().map_err(Error)).collect()
    }

    /// Gives a key another secret; the one that was the newest stays valid, the one before does not. What the key is now.
    pub async fn rotate(
        &mut self,
        id: KeyId,
        newest: SecretHash,
    ) -> std::result::Result<StoredKey, KeyError> {
        let query = sqlx::query_as(concat!(
            "update rowcast.api_key set hashes = array[$2, hashes[1]] where id = $1 and revoked_at is null returning ",
            columns!(),
            ", created_at, used_at"
        ));
        let query = query.bind(id.as_str()).bind(newest.bytes().as_slice());
        let row: Option<StoredKeyRow> =
            within(self.limit, query.fetch_optional(&mut self.connection)).await?.map_err(Error)?;
        match row {
            Some(row) => Ok(row.key().map_err(Error)?),
            None => Err(self.obstacle(id).await?.unwrap_or(KeyError::Unknown(id))),
        }
    }

    /// Ends the older of two secrets; whether there was one.
    pub async fn retire(&mut self, id: KeyId) -> std::result::Result<bool, KeyError> {
        let query = sqlx::query(
            "update rowcast.api_key set hashes = hashes[1:1]
              where id = $1 and revoked_at is null and cardinality(hashes) = 2",
        );
        if self.changed(query.bind(id.as_str())).await? {
            return Ok(true);
        }
        self.obstacle(id).await?.map_or(Ok(false), Err)
    }

    /// Ends a key for good; whether it was not revoked before.
    pub async fn revoke(&mut self, id: KeyId) -> std::result::Result<bool, KeyError> {
        let query =
            sqlx::query("update rowcast.api_key set revoked_at = now() where id = $1 and revoked_at is null");
        if self.changed(query.bind(id.as_str())).await? {
            self.purge().await?;
            return Ok(true);
        }
        match self.obstacle(id).await? {
            Some(KeyError::Revoked(_)) => Ok(false),
            other => Err(other.unwrap_or(KeyError::Unknown(id))),
        }
    }

    /// Stores the keys as they are given, all or none. Those that are there already become as given, but one that was revoked
    /// stays so.
    pub async fn import(&mut self, records: &[KeyRecord]) -> Result<Imported> {
        let mut transaction = within(self.limit, self.connection.begin()).await??;
        let mut imported = Imported::default();
        for records in records.chunks(IMPORTED_AT_ONCE) {
            let keys: Vec<NewKey<'_>> = records.iter().map(NewKey::from).collect();
            let query = sqlx::query_scalar(IMPORT).bind(Json(keys));
            let written: Vec<bool> = within(self.limit, query.fetch_all(&mut *transaction)).await??;
            let created = written.iter().filter(|created| **created).count();
            imported.created += created as u64;
            imported.changed += (written.len() - created) as u64;
            imported.unchanged += (records.len() - written.len()) as u64;
        }
        within(self.limit, transaction.commit()).await??;
        Ok(imported)
    }

    /// Refuses tokens from now on; whether it did not before, or not for as long.
    pub async fn revoke_token(&mut self, revocation: &Revocation) -> Result<bool> {
        let (kind, value) = parts(&revocation.of);
        let query = sqlx::query(
            "insert into rowcast.revocation as own (issuer, kind, value, expires_at) values ($1, $2, $3, $4)
             on conflict (issuer, kind, value) do update set expires_at = excluded.expires_at
              where own.expires_at < excluded.expires_at",
        );
        let query = query.bind(&revocation.issuer).bind(kind).bind(value).bind(time(revocation.until));
        let changed = self.changed(query).await?;
        self.purge().await?;
        Ok(changed)
    }

    /// Takes a revocation back; whether there was one.
    pub async fn restore_token(&mut self, issuer: &str, of: &Revoked) -> Result<bool> {
        let (kind, value) = parts(of);
        let query = sqlx::query(
            "update rowcast.revocation set expires_at = now()
              where issuer = $1 and kind = $2 and value = $3 and expires_at > now()",
        );
        self.changed(query.bind(issuer).bind(kind).bind(value)).await
    }

    /// The next revocations in force after one, in their order, at most `limit`.
    pub async fn revocations(&mut self, after: Option<&Revocation>, limit: i64) -> Result<Vec<Revocation>> {
        let (issuer, (kind, value)) =
            after.map_or(("", ("", "")), |after| (after.issuer.as_str(), parts(&after.of)));
        let query = sqlx::query_as(
            "select issuer, kind, value, expires_at from rowcast.revocation
              where (issuer, kind, value) > ($1, $2, $3) and expires_at > now() order by issuer, kind, value limit $4",
        );
        let query = query.bind(issuer).bind(kind).bind(value).bind(limit);
        let rows: Vec<RevocationRow> = within(self.limit, query.fetch_all(&mut self.connection)).await??;
        Ok(rows.into_iter().filter_map(RevocationRow::revocation).collect())
    }

    /// Deletes what ended long ago: those who add to it keep it small.
    async fn purge(&mut self) -> Result<()> {
        let query = sqlx::query("select rowcast.purge_keys()");
        within(self.limit, query.execute(&mut self.connection)).await??;
        Ok(())
    }

    async fn changed(&mut self, query: Query<'_, Postgres, PgArguments>) -> Result<bool> {
        let done = within(self.limit, query.execute(&mut self.connection)).await??;
        Ok(done.rows_affected() > 0)
    }

    /// Why a key cannot be changed, if it cannot.
    async fn obstacle(&mut self, id: KeyId) -> Result<Option<KeyError>> {
        let query = sqlx::query_scalar("select revoked_at is not null from rowcast.api_key where id = $1");
        let query = query.bind(id.as_str()).fetch_optional(&mut self.connection);
        Ok(match within(self.limit, query).await?? {
            None => Some(KeyError::Unknown(id)),
            Some(true) => Some(KeyError::Revoked(id)),
            Some(false) => None,
        })
    }
}
