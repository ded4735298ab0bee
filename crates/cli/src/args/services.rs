//! Where the services are, which certificates are trusted, and who asks.

use std::{fmt, path::PathBuf, str::FromStr};

use clap::Args;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};

#[derive(Debug, Clone, Args)]
pub(crate) struct Ingest {
    /// URL of ingest
    #[arg(
        long = "ingest",
        env = "ROWCAST_INGEST_URL",
        default_value = "http://127.0.0.1:8081",
        value_name = "URL"
    )]
    pub(crate) url: String,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Gateway {
    /// URL of the gateway
    #[arg(
        id = "gateway",
        long,
        env = "ROWCAST_GATEWAY_URL",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL"
    )]
    pub(crate) url: String,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Trust {
    /// PEM file of certificates to trust in addition to the system's, for https:// and wss://
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Device key or token, where the services ask for one. Other users of the machine can read arguments: prefer the variable
    #[arg(long, env = "ROWCAST_CREDENTIAL", hide_env_values = true, value_name = "KEY|TOKEN")]
    pub(crate) credential: Option<Credential>,
}

/// A device key or a token, which is never printed.
#[derive(Clone)]
pub(crate) struct Credential(HeaderValue);

impl FromStr for Credential {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let value = HeaderValue::from_str(&format!("Bearer {text}"));
        let mut value = value.map_err(|_| "a credential has no control characters")?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

impl Trust {
    /// What goes with each request.
    pub(crate) fn headers(&self) -> HeaderMap {
        let authorization = self.credential.iter().map(|Credential(value)| (AUTHORIZATION, value.clone()));
        authorization.collect()
    }
}
