//! Postgres for the commands that speak SQL: where it is, and a session that manages keys.

use anyhow::{Context, bail};
use chassis::{Faults, Settings};
use schemars::JsonSchema;
use serde::Deserialize;
use store::{Database, DatabaseConfig, Options, keys::Keys};

/// What of the environment is read: the services' section `database`.
const VARIABLES: &str = "ROWCAST_DATABASE__";

/// The section `database` alone.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Section {
    database: DatabaseConfig,
}

impl Settings for Section {
    const HAS_ADMIN_PORT: bool = false;

    fn validate(&self, _faults: &mut Faults) {}
}

/// Connects to the database of that URL, or to that of the environment.
pub(crate) async fn keys(url: Option<&str>) -> anyhow::Result<Keys> {
    let options = options(url)?;
    Database::new(&options, 1).check_schema().await?;
    Ok(Keys::connect(&options).await?)
}

fn options(url: Option<&str>) -> anyhow::Result<Options> {
    let config = match url {
        Some(url) => DatabaseConfig::at(url),
        None => of_environment()?,
    };
    config.options_of_own_session("rowcast keys").map_err(|fault| match url {
        Some(_) => anyhow::anyhow!("--database-url: {fault}"),
        None => anyhow::anyhow!("{}: {fault}", fault.key()),
    })
}

fn of_environment() -> anyhow::Result<DatabaseConfig> {
    let own = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok().filter(|name| name.starts_with(VARIABLES))?;
        Some((name, value.to_string_lossy().into_owned()))
    });
    let variables: Vec<(String, String)> = own.collect();
    if variables.is_empty() {
        bail!("no database: set --database-url, or ROWCAST_DATABASE__URL as the services have it");
    }
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let section: Section = chassis::from_environment(&variables)
        .map_err(|faults| anyhow::anyhow!("{}", faults.to_string().trim_end()))
        .context("the configuration of the database")?;
    Ok(section.database)
}
