//! The configuration of ingest.

use std::collections::BTreeMap;

use access::{AuthConfig, Bounds, Defaults};
use auth::{BadRate, Limits};
use chassis::{Faults, HttpConfig, Origins, Settings};
use schemars::JsonSchema;
use serde::Deserialize;
use store::DatabaseConfig;

use crate::{
    hooks::{Hooks, config::HookConfig},
    influx::rule::Rule,
    limits::ARRAY_BYTES,
};

/// All of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Postgres.
    #[serde(default)]
    pub database: DatabaseConfig,
    /// Who needs which credentials.
    #[serde(default)]
    pub auth: AuthConfig,
    /// How readings are committed.
    #[serde(default)]
    pub ingest: IngestConfig,
    /// What one address may do.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// Webhooks, by their names.
    #[serde(default)]
    pub hooks: BTreeMap<String, HookConfig>,
    /// The public port.
    #[serde(default)]
    pub http: HttpConfig,
}

/// How readings are committed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IngestConfig {
    /// INSERTs that may run at once. One is enough while commits are quick; more are used when they are slow, and for large
    /// requests, which get half of them.
    pub lanes: usize,
    /// How many bytes of readings may wait for a lane before requests are refused. One writer's may be eight times as many as are
    /// free.
    pub queue_bytes: usize,
    /// How many bytes of bodies may be received at once before requests are refused.
    pub body_bytes: usize,
    /// Origins (`https://example.org`, `https://*.example.org`) whose pages may POST and read, beside the requested host
    /// itself; `*` for any.
    pub origins: Vec<String>,
    /// The host names of this service; if listed, pages of other names are refused, even if the name resolves to this
    /// service (DNS rebinding). Empty: any name.
    pub hosts: Vec<String>,
    /// The sensor to which a field of line protocol belongs: `{org}`, `{bucket}` (of the first version: `db`), `{measurement}`,
    /// `{tags}` (the values of all tags, in the order of their names), `{tag.NAME}` and `{field}`. What stands between two `/` is
    /// left out where it is empty.
    pub influx_sensor: String,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            lanes: 4,
            queue_bytes: 16 << 20,
            body_bytes: 32 << 20,
            origins: Vec::new(),
            hosts: Vec::new(),
            influx_sensor: "{measurement}/{tags}/{field}".to_owned(),
        }
    }
}

/// What one address may do.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Requests without a credential: `10/s`, `30/m`, or with what may come at once `10/s burst 100` (429). Empty: as many as come.
    pub requests_per_address: String,
    /// Readings of such requests, counted before they are stored; a request with more than the burst is never admitted (413).
    pub readings_per_address: String,
}

impl LimitsConfig {
    /// What those may do who have no limits of their own.
    pub(crate) fn defaults(&self) -> Result<Defaults, BadRate> {
        let limits = Limits {
            requests: access::rate(&self.requests_per_address)?,
            readings: access::rate(&self.readings_per_address)?,
            ..Limits::default()
        };
        Ok(Defaults { address: Bounds { limits, ..Bounds::default() }, ..Defaults::default() })
    }
}

/// The most that `body_bytes` can be.
const MAX_BODY_BYTES: usize = u32::MAX as usize;

/// What the paths of the service begin with.
const OWN_PATHS: [&str; 6] = ["api", "health", "hooks", "ping", "query", "write"];

impl Config {
    /// The origins whose pages may send requests.
    pub(crate) fn origins(&self) -> Result<Origins, String> {
        Origins::new(&self.ingest.origins, &self.ingest.hosts)
    }
}

impl Settings for Config {
    fn validate(&self, faults: &mut Faults) {
        if let Err(error) = self.database.options("") {
            faults.add(error.key(), error.to_string());
        }
        if !(1..=16).contains(&self.ingest.lanes) {
            faults.add("ingest.lanes", "must be 1 to 16");
        }
        if self.ingest.queue_bytes < ARRAY_BYTES {
            faults.add("ingest.queue_bytes", "must be at least 1048576, the largest body");
        }
        if !(ARRAY_BYTES..=MAX_BODY_BYTES).contains(&self.ingest.body_bytes) {
            faults.add("ingest.body_bytes", "must be 1048576, the largest body, to 4294967295");
        }
        if let Err(error) = self.ingest.influx_sensor.parse::<Rule>() {
            faults.add("ingest.influx_sensor", error);
        }
        if let Err(error) = self.origins() {
            faults.add("ingest.origins", error);
        }
        for (key, text) in [
            ("limits.requests_per_address", &self.limits.requests_per_address),
            ("limits.readings_per_address", &self.limits.readings_per_address),
        ] {
            if let Err(error) = access::rate(text) {
                faults.add(key, error.to_string());
            }
        }
        self.auth.validate(faults);
        Hooks::new(&self.hooks, faults);
        self.http.validate(&OWN_PATHS, faults);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_known_to_all_services() {
        assert_eq!(chassis::unlisted_keys::<Config>(), [""; 0]);
    }
}
