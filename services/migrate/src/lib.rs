//! Brings a database to the schema of this release, and says what it did.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use chassis::{AdminConfig, Faults, LogConfig, Service, Settings};
use secrecy::SecretString;
use serde::Deserialize;
use store::{Fault, Options, Pooler, schema};

/// All of the job's configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Postgres.
    pub database: DatabaseConfig,
    /// The log.
    #[serde(default)]
    pub log: LogConfig,
}

/// The database, as a user that owns or may make its tables: the keys of the services, and how long to wait.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    pub url: Option<SecretString>,
    pub host: Option<String>,
    pub port: Option<u16>,
    pub name: Option<String>,
    pub user: Option<String>,
    pub password: Option<SecretString>,
    pub sslmode: Option<String>,
    pub ca: Option<PathBuf>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    #[serde(default)]
    pub pooler: Pooler,
    /// How long to wait for the database to answer, and for another migration to end.
    #[serde(with = "chassis::duration", default = "default_wait")]
    pub wait: Duration,
}

fn default_wait() -> Duration {
    Duration::from_secs(60)
}

impl Settings for Config {
    fn log(&self) -> &LogConfig {
        &self.log
    }

    fn admin(&self) -> Option<&AdminConfig> {
        None
    }

    fn validate(&self, faults: &mut Faults) {
        if let Err(error) = self.options() {
            faults.add(error.key(), error.to_string());
        }
    }
}

impl Config {
    fn options(&self) -> Result<Options, Fault> {
        let DatabaseConfig {
            url,
            host,
            port,
            name,
            user,
            password,
            sslmode,
            ca,
            certificate,
            key,
            pooler,
            wait: _,
        } = &self.database;
        let config = store::DatabaseConfig {
            url: url.clone(),
            host: host.clone(),
            port: *port,
            name: name.clone(),
            user: user.clone(),
            password: password.clone(),
            sslmode: sslmode.clone(),
            ca: ca.clone(),
            certificate: certificate.clone(),
            key: key.clone(),
            pooler: *pooler,
        };
        config.options_of_own_session("rowcast migrate")
    }
}

/// Applies what is missing. Killed anywhere, the next run goes on where it stopped.
pub async fn run(config: Config, service: Service) -> anyhow::Result<()> {
    let options = config.options()?;
    let migrate = schema::migrate(&options, config.database.wait);
    let stopped = service.life.stopping();
    let migrated = tokio::select! {
        migrated = migrate => migrated.context("the schema is not migrated")?,
        () = stopped => anyhow::bail!("stopped before the schema was migrated"),
    };
    for (version, name) in &migrated.applied {
        tracing::info!(version, name, "applied migration");
    }
    if migrated.set_aside > 0 {
        tracing::warn!(
            readings = migrated.set_aside,
            "readings of the old table that no client could be told are in rowcast.unfit_readings"
        );
    }
    tracing::info!(version = migrated.version, applied = migrated.applied.len(), "the schema is current");
    Ok(())
}
