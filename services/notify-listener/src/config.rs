//! The listener's configuration.

use std::time::Duration;

use bus::RedisConfig;
use chassis::{Faults, Settings};
use schemars::JsonSchema;
use serde::Deserialize;
use store::DatabaseConfig;

/// All of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Postgres.
    #[serde(default)]
    pub database: DatabaseConfig,
    /// Redis.
    pub redis: RedisConfig,
    /// Which replica forwards.
    #[serde(default)]
    pub lease: lease::Config,
    /// How long readings and positions are kept.
    #[serde(default)]
    pub retention: Retention,
}

/// How long readings and positions are kept.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Readings inserted longer ago are dropped by whole days (UTC); absent, none ever is.
    #[serde(with = "chassis::duration")]
    #[schemars(with = "Option<String>", extend("format" = "duration"))]
    pub readings: Option<Duration>,
    /// Clients can resume from positions this old.
    #[serde(with = "chassis::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub replay: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { readings: None, replay: Duration::from_secs(24 * 3600) }
    }
}

impl Settings for Config {
    fn validate(&self, faults: &mut Faults) {
        if let Err(error) = self.database.options_of_own_session("") {
            faults.add(error.key(), error.to_string());
        }
        for fault in self.redis.faults() {
            faults.add(fault.key(), fault.to_string());
        }
        for (key, fault) in self.lease.faults() {
            faults.add(format!("lease.{key}"), fault);
        }
        if self.retention.replay < Duration::from_secs(60) {
            faults.add("retention.replay", "must be at least 1m");
        }
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
