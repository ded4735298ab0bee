//! The configuration of ingest.

use chassis::{AdminConfig, Faults, HttpConfig, LogConfig, Settings};
use serde::Deserialize;
use store::DatabaseConfig;

/// All of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Postgres.
    pub database: DatabaseConfig,
    /// How readings are committed.
    #[serde(default)]
    pub ingest: IngestConfig,
    /// The public port.
    #[serde(default)]
    pub http: HttpConfig,
    /// The admin port.
    #[serde(default)]
    pub admin: AdminConfig,
    /// The log.
    #[serde(default)]
    pub log: LogConfig,
}

/// How readings are committed.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestConfig {
    /// INSERTs that may run at once. One is enough while commits are quick; more are used when they are slow.
    pub lanes: usize,
    /// How many bytes of readings may wait for a lane before requests are refused.
    pub queue_bytes: usize,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self { lanes: 4, queue_bytes: 16 << 20 }
    }
}

impl Settings for Config {
    fn log(&self) -> &LogConfig {
        &self.log
    }

    fn admin(&self) -> Option<&AdminConfig> {
        Some(&self.admin)
    }

    fn validate(&self, faults: &mut Faults) {
        if let Err(error) = self.database.options("") {
            faults.add("database.url", error.to_string());
        }
        if !(1..=16).contains(&self.ingest.lanes) {
            faults.add("ingest.lanes", "must be 1 to 16");
        }
        if self.ingest.queue_bytes < crate::body::ARRAY_BYTES {
            faults.add("ingest.queue_bytes", "must be at least 1048576, the largest body");
        }
    }
}
