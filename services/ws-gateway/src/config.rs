//! The gateway's configuration.

use std::path::PathBuf;

use chassis::{AdminConfig, Faults, HttpConfig, LogConfig, Secret, Settings};
use serde::Deserialize;

/// All of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Postgres, for replay and snapshots.
    pub database: DatabaseConfig,
    /// Redis.
    pub redis: RedisConfig,
    /// What the gateway holds and serves.
    #[serde(default)]
    pub gateway: GatewayConfig,
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

/// The primary: a replica may lag behind the stream.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `postgres://user:password@host:5432/database`
    pub url: Secret,
}

/// The stream's server.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisConfig {
    /// `redis://user:password@host:6379/0`
    pub url: Secret,
    /// What the keys begin with.
    #[serde(default = "default_prefix")]
    pub prefix: String,
}

fn default_prefix() -> String {
    "rowcast".to_owned()
}

/// What the gateway holds and serves.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayConfig {
    /// Bytes of recent readings kept in memory: who resumes within them costs Postgres nothing.
    pub window_bytes: usize,
    /// The folder of the built page; empty: no page is served.
    pub page: PathBuf,
    /// Where the page's visitors POST, if not at this host: shown in the page's example.
    pub ingest_url: String,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self { window_bytes: 64 << 20, page: PathBuf::new(), ingest_url: String::new() }
    }
}

impl DatabaseConfig {
    /// How the store reaches it.
    pub fn options(&self, application: &str) -> Result<store::Options, store::connect::BadUrl> {
        store::Options::new(self.url.expose(), application)
    }
}

impl RedisConfig {
    /// How the bus reaches it.
    pub fn options(&self) -> Result<bus::Options, bus::BadUrl> {
        bus::Options::new(self.url.expose(), &self.prefix)
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
        if let Err(error) = self.redis.options() {
            faults.add("redis.url", error.to_string());
        }
        if self.gateway.window_bytes < 1 << 20 {
            faults.add("gateway.window_bytes", "must be at least 1048576");
        }
        let page = &self.gateway.page;
        if !page.as_os_str().is_empty() && !page.join("index.html").is_file() {
            faults.add("gateway.page", format!("there is no index.html in {}", page.display()));
        }
        if self.gateway.ingest_url.contains(['"', '<', '>', '&']) {
            faults.add("gateway.ingest_url", "must be a URL");
        }
    }
}
