//! A key as a line of JSON, with the hashes of its secrets or without.

use anyhow::{Context, ensure};
use auth::{KeyRecord, Limits, Rate, Scope, SecretHash, Secrets};
use serde::{Deserialize, Serialize};

use crate::instant;

/// The limits of a name.
pub(super) const BAD_NAME: &str = "a name has 1 to 100 characters, no control character";

/// A key. With `hash` it can be imported.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyLine {
    id: String,
    name: String,
    /// SHA-256 of the secret as it is written in the key, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    /// Of the secret before, while it is valid too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_hash: Option<String>,
    #[serde(default)]
    write: Vec<String>,
    #[serde(default)]
    read: Vec<String>,
    #[serde(default)]
    limits: LimitsLine,
    /// RFC 3339.
    #[serde(default)]
    expires_at: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitsLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    readings: Option<RateLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<RateLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscriptions: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RateLine {
    per_second: f64,
    burst: u32,
}

impl From<Rate> for RateLine {
    fn from(rate: Rate) -> Self {
        Self { per_second: rate.per_second(), burst: rate.burst() }
    }
}

impl KeyLine {
    /// Without anything that could be imported.
    pub(super) fn of(record: &KeyRecord) -> Self {
        let texts = |scope: &Scope| scope.patterns().iter().map(ToString::to_string).collect();
        let Limits { readings, requests, connections, subscriptions } = record.limits;
        let limits = LimitsLine {
            readings: readings.map(Into::into),
            requests: requests.map(Into::into),
            connections,
            subscriptions,
        };
        Self {
            id: record.id.to_string(),
            name: record.name.clone(),
            hash: None,
            previous_hash: None,
            write: texts(&record.write),
            read: texts(&record.read),
            limits,
            expires_at: record.expires_at.map(instant::text),
        }
    }

    /// What an import takes.
    pub(super) fn with_hashes(record: &KeyRecord) -> Self {
        let Secrets { newest, older } = &record.secrets;
        let previous_hash = older.as_ref().map(SecretHash::to_hex);
        Self { hash: Some(newest.to_hex()), previous_hash, ..Self::of(record) }
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("texts and finite numbers are JSON")
    }

    /// The key that it describes.
    pub(super) fn record(self) -> anyhow::Result<KeyRecord> {
        let Self { id, name, hash, previous_hash, write, read, limits, expires_at } = self;
        ensure!((1..=100).contains(&name.chars().count()) && !name.contains(char::is_control), BAD_NAME);
        let newest = SecretHash::parse(&hash.context("hash is missing")?).context("hash")?;
        let older =
            previous_hash.map(|hash| SecretHash::parse(&hash)).transpose().context("previous_hash")?;
        let rate = |line: RateLine| Rate::new(line.per_second, line.burst);
        for count in [limits.connections, limits.subscriptions].into_iter().flatten() {
            ensure!((1..=i32::MAX as u32).contains(&count), "a count is 1 to {}", i32::MAX);
        }
        let limits = Limits {
            readings: limits.readings.map(rate).transpose().context("limits.readings")?,
            requests: limits.requests.map(rate).transpose().context("limits.requests")?,
            connections: limits.connections,
            subscriptions: limits.subscriptions,
        };
        Ok(KeyRecord {
            id: id.parse()?,
            name,
            write: Scope::parse(&write).context("write")?,
            read: Scope::parse(&read).context("read")?,
            limits,
            expires_at: expires_at
                .map(|text| instant::parse(&text))
                .transpose()
                .map_err(anyhow::Error::msg)?,
            is_revoked: false,
            secrets: Secrets { newest, older },
        })
    }
}
