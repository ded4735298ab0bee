//! Connections to Redis, directly or by Sentinels.

use std::{sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, RedisConnectionInfo, TlsCertificates, TlsMode,
    aio::MultiplexedConnection,
    sentinel::{SentinelClientBuilder, SentinelServerType},
};
use secrecy::{ExposeSecret, SecretString};
use wire::Epoch;

use crate::{
    error::{Error, Result},
    metrics::{Command, Metrics},
};

/// How long a new connection may take, finding the master included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How to reach Redis, and the prefix of the keys.
#[derive(Clone)]
pub struct Options {
    endpoint: Endpoint,
    prefix: String,
    metrics: Metrics,
}

/// How the server is found.
#[derive(Clone)]
pub(crate) enum Endpoint {
    /// At a fixed address.
    Direct(Box<Client>),
    /// By the Sentinels, again for each connection.
    Sentinels(Arc<Sentinels>),
}

/// The Sentinels, and the settings of the connection to the master that they name.
pub(crate) struct Sentinels {
    pub(crate) addresses: Vec<ConnectionAddr>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<SecretString>,
    pub(crate) master: String,
    /// User, password and database.
    pub(crate) of_master: RedisConnectionInfo,
    pub(crate) tls: Option<TlsMode>,
    pub(crate) certificates: Option<TlsCertificates>,
}

impl Options {
    /// With that kind of server; the keys begin with `{prefix}:`.
    pub(crate) fn new(endpoint: Endpoint, prefix: &str) -> Self {
        Self { endpoint, prefix: prefix.to_owned(), metrics: Metrics::unseen() }
    }

    /// For the keys of that database: `{prefix:database}:`, so that installations with one prefix share a Redis.
    #[must_use]
    pub fn of(&self, database: &str) -> Self {
        Self { prefix: format!("{}:{database}", self.prefix), ..self.clone() }
    }

    /// The commands of these connections are counted there.
    #[must_use]
    pub fn counted_by(self, metrics: &Metrics) -> Self {
        Self { metrics: metrics.clone(), ..self }
    }

    /// Where they are counted.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The error when the stream of epochs names one that the database does not have.
    pub(crate) fn foreign(&self, epoch: Epoch) -> Error {
        Error::ForeignEpoch { key: self.epochs_key(), epoch: epoch.0 }
    }

    /// A connection whose calls fail after `limit`; with `None` they have no timeout.
    pub(crate) async fn connect(&self, limit: Option<Duration>) -> Result<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(limit);
        let connect = async {
            let client = match &self.endpoint {
                Endpoint::Direct(client) => Client::clone(client),
                // boxed: inlined into the callers' futures its type would be too deep
                Endpoint::Sentinels(sentinels) => Box::pin(sentinels.master()).await?,
            };
            client.get_multiplexed_async_connection_with_config(&config).await
        };
        let connect = async {
            let connected = tokio::time::timeout(CONNECT_TIMEOUT, connect).await;
            connected.map_err(|_| Error::Silent)?.map_err(Error::Redis)
        };
        self.metrics.of(Command::Connect, connect).await
    }

    /// The key of an epoch's stream. The braces keep all keys in one slot of a cluster.
    pub(crate) fn stream_key(&self, epoch: Epoch) -> String {
        format!("{{{}}}:stream:{}", self.prefix, epoch.0)
    }

    /// The key of the stream of epochs.
    pub(crate) fn epochs_key(&self) -> String {
        format!("{{{}}}:epochs", self.prefix)
    }

    /// The key of the beat of an epoch's leader.
    pub(crate) fn beat_key(&self, epoch: Epoch) -> String {
        format!("{{{}}}:beat:{}", self.prefix, epoch.0)
    }

    /// The key of a ticket.
    pub(crate) fn ticket_key(&self, name: &str) -> String {
        format!("{{{}}}:ticket:{name}", self.prefix)
    }

    /// The key of the name of an epoch's leader.
    pub(crate) fn leader_key(&self, epoch: Epoch) -> String {
        format!("{{{}}}:leader:{}", self.prefix, epoch.0)
    }
}

impl Sentinels {
    /// The current master: the first Sentinel that answers names it, and the server's own ROLE must confirm it.
    async fn master(&self) -> redis::RedisResult<Client> {
        let (addresses, kind) = (self.addresses.iter().cloned(), SentinelServerType::Master);
        let mut builder = SentinelClientBuilder::new(addresses, &self.master, kind)?
            .set_client_to_redis_db(self.of_master.db());
        if let Some(user) = &self.user {
            builder = builder.set_client_to_sentinel_username(user);
        }
        if let Some(password) = &self.password {
            builder = builder.set_client_to_sentinel_password(password.expose_secret());
        }
        if let Some(user) = self.of_master.username() {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = self.of_master.password() {
            builder = builder.set_client_to_redis_password(password);
        }
        if let Some(tls) = self.tls {
            builder = builder.set_client_to_redis_tls_mode(tls);
        }
        if let Some(certificates) = self.certificates.clone() {
            builder = builder.set_client_to_redis_certificates(certificates);
        }
        builder.build()?.async_get_client().await
    }
}
