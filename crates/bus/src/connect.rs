//! Ways to Redis.

use std::time::Duration;

use redis::{AsyncConnectionConfig, Client, aio::MultiplexedConnection};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use wire::Epoch;

use crate::{Error, Result};

/// How long a new connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The section `redis` of a service.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisConfig {
    /// `redis://user:password@host:6379/0`
    pub url: SecretString,
    /// What the keys begin with.
    #[serde(default = "default_prefix")]
    pub prefix: String,
}

fn default_prefix() -> String {
    "rowcast".to_owned()
}

impl RedisConfig {
    /// How to reach it.
    pub fn options(&self) -> std::result::Result<Options, BadUrl> {
        Options::new(self.url.expose_secret(), &self.prefix)
    }
}

/// How to reach Redis, and under which name the keys lie.
#[derive(Clone)]
pub struct Options {
    client: Client,
    prefix: String,
}

/// The URL is not one of Redis.
#[derive(Debug, thiserror::Error)]
#[error("not a Redis URL (redis://user:password@host:6379/0, or rediss:// for TLS)")]
pub struct BadUrl;

impl Options {
    /// From a URL; the keys begin with `{prefix}:`.
    pub fn new(url: &str, prefix: &str) -> std::result::Result<Self, BadUrl> {
        let client = Client::open(url).map_err(|_| BadUrl)?;
        Ok(Self { client, prefix: prefix.to_owned() })
    }

    /// A connection whose calls fail after `limit`; with none they wait as long as the server does.
    pub(crate) async fn connect(&self, limit: Option<Duration>) -> Result<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(limit);
        let connect = self.client.get_multiplexed_async_connection_with_config(&config);
        tokio::time::timeout(CONNECT_TIMEOUT, connect).await.map_err(|_| Error::Silent)?.map_err(Error::Redis)
    }

    /// The key of an epoch's stream. The braces keep all keys in one slot of a cluster.
    pub(crate) fn stream_key(&self, epoch: Epoch) -> String {
        format!("{{{}}}:stream:{}", self.prefix, epoch.0)
    }

    /// The key of the stream of epochs.
    pub(crate) fn epochs_key(&self) -> String {
        format!("{{{}}}:epochs", self.prefix)
    }

    /// The key of the leader's sign of life.
    pub(crate) fn beat_key(&self) -> String {
        format!("{{{}}}:beat", self.prefix)
    }
}
