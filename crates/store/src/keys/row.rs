//! Keys and revocations as rows.

use auth::{KeyId, KeyRecord, Limits, Rate, Revocation, Revoked, Scope, SecretHash, Secrets, UnixMicros};
use sqlx::FromRow;
use time::OffsetDateTime;

/// The columns of a [`KeyRow`].
macro_rules! columns {
    () => {
        "id, name, write_patterns, read_patterns, readings_per_second, readings_burst, requests_per_second,
         requests_burst, connections, subscriptions, expires_at, revoked_at, hashes"
    };
}
pub(super) use columns;

/// A key, and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredKey {
    /// The key.
    pub record: KeyRecord,
    /// When it was made.
    pub created_at: UnixMicros,
    /// When it was last used, to the minute.
    pub used_at: Option<UnixMicros>,
    /// When it was revoked.
    pub revoked_at: Option<UnixMicros>,
}

#[derive(FromRow)]
pub(super) struct KeyRow {
    pub(super) id: String,
    name: String,
    write_patterns: Vec<String>,
    read_patterns: Vec<String>,
    readings_per_second: Option<f64>,
    readings_burst: Option<i32>,
    requests_per_second: Option<f64>,
    requests_burst: Option<i32>,
    connections: Option<i32>,
    subscriptions: Option<i32>,
    expires_at: Option<OffsetDateTime>,
    revoked_at: Option<OffsetDateTime>,
    hashes: Vec<Vec<u8>>,
}

#[derive(FromRow)]
pub(super) struct StoredKeyRow {
    #[sqlx(flatten)]
    key: KeyRow,
    created_at: OffsetDateTime,
    used_at: Option<OffsetDateTime>,
}

#[derive(FromRow)]
pub(super) struct RevocationRow {
    issuer: String,
    kind: String,
    value: String,
    expires_at: OffsetDateTime,
}

impl KeyRow {
    /// The key; `None` where this release does not understand its row. The table's checks allow nothing that it would not.
    pub(super) fn record(self) -> Option<KeyRecord> {
        let secrets = match self.hashes.as_slice() {
            [newest] => Secrets::one(hash(newest)?),
            [newest, older] => Secrets { newest: hash(newest)?, older: Some(hash(older)?) },
            _ => return None,
        };
        let limits = Limits {
            readings: rate(self.readings_per_second, self.readings_burst)?,
            requests: rate(self.requests_per_second, self.requests_burst)?,
            connections: count(self.connections)?,
            subscriptions: count(self.subscriptions)?,
        };
        Some(KeyRecord {
            id: self.id.parse().ok()?,
            name: self.name,
            write: Scope::parse(&self.write_patterns).ok()?,
            read: Scope::parse(&self.read_patterns).ok()?,
            limits,
            expires_at: self.expires_at.map(micros),
            is_revoked: self.revoked_at.is_some(),
            secrets,
        })
    }

    /// About what it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        let patterns = self.write_patterns.iter().chain(&self.read_patterns);
        size_of::<Self>() + patterns.map(|pattern| size_of::<String>() + pattern.len()).sum::<usize>()
    }
}

impl StoredKeyRow {
    pub(super) fn key(self) -> Result<StoredKey, sqlx::Error> {
        let Self { key, created_at, used_at } = self;
        let (id, revoked_at) = (key.id.clone(), key.revoked_at);
        let record = key.record().ok_or_else(|| {
            sqlx::Error::Decode(format!("the key {id:?} is not as this release knows keys").into())
        })?;
        Ok(StoredKey {
            record,
            created_at: micros(created_at),
            used_at: used_at.map(micros),
            revoked_at: revoked_at.map(micros),
        })
    }
}

impl RevocationRow {
    /// The revocation; `None` where it is of a kind that this release does not know.
    pub(super) fn revocation(self) -> Option<Revocation> {
        let of = match self.kind.as_str() {
            "jti" => Revoked::Token(self.value),
            "sub" => Revoked::Subject(self.value),
            _ => return None,
        };
        Some(Revocation { issuer: self.issuer, of, until: micros(self.expires_at) })
    }
}

/// The `kind` and the `value` of a revocation.
pub(super) fn parts(of: &Revoked) -> (&'static str, &str) {
    match of {
        Revoked::Token(jti) => ("jti", jti),
        Revoked::Subject(sub) => ("sub", sub),
    }
}

pub(super) fn id(text: &str) -> Option<KeyId> {
    text.parse().ok()
}

fn hash(bytes: &[u8]) -> Option<SecretHash> {
    Some(SecretHash::new(bytes.try_into().ok()?))
}

/// The outer `None` where it is no rate.
#[expect(clippy::option_option, reason = "an absent rate is valid")]
fn rate(per_second: Option<f64>, burst: Option<i32>) -> Option<Option<Rate>> {
    match (per_second, burst) {
        (None, None) => Some(None),
        (Some(per_second), Some(burst)) => Rate::new(per_second, u32::try_from(burst).ok()?).ok().map(Some),
        _ => None,
    }
}

/// The outer `None` where it is no count.
#[expect(clippy::option_option, reason = "an absent count is valid")]
fn count(count: Option<i32>) -> Option<Option<u32>> {
    count.map(u32::try_from).transpose().ok()
}

pub(super) fn micros(time: OffsetDateTime) -> UnixMicros {
    // years 1 to 9999, by the table's checks
    UnixMicros(time.unix_timestamp() * 1_000_000 + i64::from(time.microsecond()))
}

/// The time, or the end of the times that the table takes.
pub(super) fn time(UnixMicros(micros): UnixMicros) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).unwrap_or(LAST)
}

const LAST: OffsetDateTime = time::macros::datetime!(9999-12-30 23:59:59 UTC);

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn times_keep_their_microseconds() {
        for at in [
            datetime!(1970-01-01 00:00:00.000001 UTC),
            datetime!(1969-12-31 23:59:59.999999 UTC),
            datetime!(2026-11-23 08:00 UTC),
            datetime!(0001-01-01 00:00 UTC),
            LAST,
        ] {
            assert_eq!(time(micros(at)), at);
        }
        assert_eq!(time(UnixMicros(i64::MAX)), LAST);
    }
}
