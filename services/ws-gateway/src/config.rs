//! The gateway's configuration.

use std::{path::PathBuf, time::Duration};

use access::{AuthConfig, Bounds, Defaults};
use auth::{BadRate, Limits};
use bus::RedisConfig;
use chassis::{Faults, HttpConfig, Origins, Settings};
use schemars::JsonSchema;
use serde::Deserialize;
use store::DatabaseConfig;
use wire::frame;

use crate::admission::history_cost::MAX_ROWS;

/// All of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Postgres, for replay and snapshots.
    #[serde(default)]
    pub database: DatabaseConfig,
    /// Redis.
    pub redis: RedisConfig,
    /// Who needs which credentials.
    #[serde(default)]
    pub auth: AuthConfig,
    /// What the gateway holds and serves.
    #[serde(default)]
    pub gateway: GatewayConfig,
    /// What one connection, one address, one subject and all together may do.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// How long a silent peer is waited for.
    #[serde(default)]
    pub ping: PingConfig,
    /// The public port.
    #[serde(default)]
    pub http: HttpConfig,
}

/// What the gateway holds and serves.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayConfig {
    /// Bytes of recent readings kept in memory: resumes within them need no read of Postgres.
    pub window_bytes: usize,
    /// The folder of the built page; empty: no page is served.
    pub page: PathBuf,
    /// Where the page's visitors POST, if not at this host: shown in the page's example.
    pub ingest_url: String,
    /// Origins (`https://example.org`, `https://*.example.org`, `capacitor://localhost`, `null`) whose pages may connect,
    /// beside the requested host itself; `*` for any.
    pub origins: Vec<String>,
    /// The host names of this service; if listed, pages of other names are refused, even if the name resolves to this
    /// service (DNS rebinding). Empty: any name.
    pub hosts: Vec<String>,
    /// A connection is asked to move on when it is about this old, so that connections spread over the gateways again;
    /// absent, never.
    #[serde(with = "chassis::duration")]
    #[schemars(with = "Option<String>", extend("format" = "duration"))]
    pub max_connection_age: Option<Duration>,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            window_bytes: 64 << 20,
            page: PathBuf::new(),
            ingest_url: String::new(),
            origins: Vec::new(),
            hosts: Vec::new(),
            max_connection_age: None,
        }
    }
}

/// What one connection, one address, one subject and all together may do.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Sockets and event streams; with more, a client is told to come back (503).
    pub connections: usize,
    /// The same from one address, as the gateway sees it: behind a proxy, the proxy's (429).
    pub connections_per_address: usize,
    /// The same of one subject: of a token's, or of a device key that has no such limit of its own (429, 4429). Absent: as many as
    /// there may be.
    pub connections_per_subject: Option<u32>,
    /// Subscriptions of one subject, on all of its connections. Absent: as many as its connections may have.
    pub subscriptions_per_subject: Option<u32>,
    /// Commands of one subject, on all of its sockets: `20/s burst 200`; more are answered by an error. Empty: as many as its
    /// connections may send.
    pub commands_per_subject: String,
    /// Rows of history that one subject may ask for, `10000/s burst 100000` (429). A request counts as its `limit`, and as 100 at
    /// least; a subscription that begins in the past as 1,000. Empty: as many as it asks for.
    pub history_per_subject: String,
    /// The same of one address, of those without a credential.
    pub history_per_address: String,
    /// Subscriptions on one socket.
    pub subscriptions: usize,
    /// Patterns in one subscription.
    pub patterns: usize,
    /// Bytes of one message of a client (1009).
    pub message_bytes: usize,
    /// Fragments of one message of a client (1008).
    pub fragments: usize,
    /// Commands, pings and pongs a second of a client, in bursts of up to ten times as many (4429).
    pub commands_per_s: u32,
    /// Bytes that may wait for all clients together; with more, clients that do not keep up wait.
    pub backlog_bytes: usize,
    /// Bytes that the patterns of all clients together may take, at about 400 and twice its text each; with more, a
    /// subscription is refused (`busy`).
    pub pattern_bytes: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections: 16_000,
            connections_per_address: 16_000,
            connections_per_subject: None,
            subscriptions_per_subject: None,
            commands_per_subject: String::new(),
            history_per_subject: String::new(),
            history_per_address: String::new(),
            subscriptions: 64,
            patterns: 256,
            message_bytes: 64 << 10,
            fragments: 64,
            commands_per_s: 50,
            backlog_bytes: 128 << 20,
            pattern_bytes: 64 << 20,
        }
    }
}

impl LimitsConfig {
    /// What those may do who have no limits of their own.
    pub(crate) fn defaults(&self) -> Result<Defaults, BadRate> {
        let limits = Limits {
            connections: self.connections_per_subject,
            subscriptions: self.subscriptions_per_subject,
            ..Limits::default()
        };
        let (commands, rows) =
            (access::rate(&self.commands_per_subject)?, access::rate(&self.history_per_subject)?);
        let rows_of_address = access::rate(&self.history_per_address)?;
        Ok(Defaults {
            subject: Bounds { limits, commands, rows },
            address: Bounds { rows: rows_of_address, ..Bounds::default() },
        })
    }

    fn validate(&self, faults: &mut Faults) {
        for (name, value) in [
            ("connections", self.connections),
            ("connections_per_address", self.connections_per_address),
            ("connections_per_subject", self.connections_per_subject.map_or(1, |most| most as usize)),
            ("subscriptions_per_subject", self.subscriptions_per_subject.map_or(1, |most| most as usize)),
            ("subscriptions", self.subscriptions),
            ("patterns", self.patterns),
            ("fragments", self.fragments),
            ("commands_per_s", self.commands_per_s as usize),
            ("backlog_bytes", self.backlog_bytes),
        ] {
            if value == 0 {
                faults.add(format!("limits.{name}"), "must be at least 1");
            }
        }
        if !(1 << 10..=16 << 20).contains(&self.message_bytes) {
            faults.add("limits.message_bytes", "must be 1024 to 16777216");
        }
        if let Err(error) = access::rate(&self.commands_per_subject) {
            faults.add("limits.commands_per_subject", error.to_string());
        }
        for (key, text) in [
            ("limits.history_per_subject", &self.history_per_subject),
            ("limits.history_per_address", &self.history_per_address),
        ] {
            match access::rate(text) {
                Err(error) => faults.add(key, error.to_string()),
                Ok(Some(rate)) if rate.burst() < MAX_ROWS => {
                    faults.add(key, format!("the burst must be at least {MAX_ROWS}, the largest page"));
                }
                Ok(_) => {}
            }
        }
    }

    /// Those that `hello` names.
    pub(crate) fn of_connection(&self) -> frame::Limits {
        frame::Limits {
            message_bytes: self.message_bytes,
            subscriptions: self.subscriptions,
            patterns: self.patterns,
            fragments: self.fragments,
            commands_per_s: self.commands_per_s,
        }
    }
}

/// How long a silent peer is waited for.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PingConfig {
    /// Between two pings.
    #[serde(with = "chassis::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub every: Duration,
    /// A peer that has neither sent anything nor taken a byte for so long after a ping was due is gone (4409).
    #[serde(with = "chassis::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub deadline: Duration,
}

impl Default for PingConfig {
    fn default() -> Self {
        Self { every: Duration::from_secs(25), deadline: Duration::from_secs(20) }
    }
}

/// The intervals of a connection's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timers {
    pub(crate) ping_every: Duration,
    pub(crate) pong_deadline: Duration,
    pub(crate) max_age: Option<Duration>,
}

impl Config {
    pub(crate) fn timers(&self) -> Timers {
        Timers {
            ping_every: self.ping.every,
            pong_deadline: self.ping.deadline,
            max_age: self.gateway.max_connection_age,
        }
    }

    /// The origins whose pages may connect.
    pub(crate) fn origins(&self) -> Result<Origins, String> {
        Origins::new(&self.gateway.origins, &self.gateway.hosts)
    }
}

/// How paths begin that the gateway serves.
const OWN: [&str; 7] = ["api", "ws", "sse", "assets", "docs", "openapi.json", "asyncapi.json"];

impl Settings for Config {
    fn validate(&self, faults: &mut Faults) {
        if let Err(error) = self.database.options("") {
            faults.add(error.key(), error.to_string());
        }
        for fault in self.redis.faults() {
            faults.add(fault.key(), fault.to_string());
        }
        if self.gateway.window_bytes < 1 << 20 {
            faults.add("gateway.window_bytes", "must be at least 1048576");
        }
        let page = &self.gateway.page;
        if !page.as_os_str().is_empty() && !page.join("index.html").is_file() {
            faults.add("gateway.page", format!("there is no index.html in {}", page.display()));
        }
        if let Err(error) = self.origins() {
            faults.add("gateway.origins", error);
        }
        if self.gateway.max_connection_age.is_some_and(|age| age < Duration::from_secs(10)) {
            faults.add("gateway.max_connection_age", "must be at least 10s");
        }
        self.limits.validate(faults);
        if self.ping.every < Duration::from_secs(1) || self.ping.deadline < Duration::from_secs(1) {
            faults.add("ping", "every and deadline must be at least 1s");
        }
        self.auth.validate(faults);
        self.http.validate(&OWN, faults);
        if self.gateway.ingest_url.contains(['"', '<', '>', '&']) {
            faults.add("gateway.ingest_url", "must be a URL");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: [(&str, &str); 2] = [
        ("ROWCAST_DATABASE__URL", "postgres://app:hunter2@db/app"),
        ("ROWCAST_REDIS__URL", "redis://:hunter2@redis"),
    ];

    #[test]
    fn the_environment_gives_sentinels_with_commas() {
        let sentinels = ("ROWCAST_REDIS__SENTINELS", "a:1, b:2,");
        let master = ("ROWCAST_REDIS__MASTER", "m");
        let config: Config =
            chassis::from_environment(&[REQUIRED[0], REQUIRED[1], sentinels, master]).unwrap();
        assert_eq!(config.redis.sentinels, ["a:1", "b:2"]);
    }

    #[test]
    fn debug_of_the_configuration_does_not_show_its_secrets() {
        let config: Config = chassis::from_environment(&REQUIRED).unwrap();
        let shown = format!("{config:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn every_key_is_known_to_all_services() {
        assert_eq!(chassis::unlisted_keys::<Config>(), [""; 0]);
    }
}
