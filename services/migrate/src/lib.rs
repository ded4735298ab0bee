//! Brings a database to the schema of this release, and logs what it did.

use anyhow::Context;
use chassis::{Faults, Service, Settings};
use schemars::JsonSchema;
use serde::Deserialize;
use store::{DatabaseConfig, Fault, Options, schema};

/// All of the job's configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Postgres, as a user that owns the tables or may create them.
    #[serde(default)]
    pub database: DatabaseConfig,
}

impl Settings for Config {
    const HAS_ADMIN_PORT: bool = false;

    fn validate(&self, faults: &mut Faults) {
        if let Err(error) = self.options() {
            faults.add(error.key(), error.to_string());
        }
    }
}

impl Config {
    fn options(&self) -> Result<Options, Fault> {
        self.database.options_of_own_session("rowcast migrate")
    }
}

/// Applies what is missing. If it is killed, the next run continues where it stopped.
pub async fn run(config: Config, service: Service) -> anyhow::Result<()> {
    let options = config.options()?;
    let migrate = schema::migrate(&options, config.database.wait);
    let stopped = service.life.stopping();
    let migrated = tokio::select! {
        migrated = migrate => migrated.context("migration failed")?,
        () = stopped => anyhow::bail!("stopped before the migration was done"),
    };
    for (version, name) in &migrated.applied {
        tracing::info!(version, name, "applied migration");
    }
    if migrated.set_aside > 0 {
        tracing::warn!(
            readings = migrated.set_aside,
            "readings of the existing table that clients cannot receive were moved to rowcast.unfit_readings"
        );
    }
    tracing::info!(version = migrated.version, applied = migrated.applied.len(), "the schema is current");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_known_to_all_services() {
        assert_eq!(chassis::unlisted_keys::<Config>(), [""; 0]);
    }
}
