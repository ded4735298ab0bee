//! Connections to the database, and the settings of each.

use std::time::Duration;

use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection, PgPool, postgres::PgPoolOptions};

use crate::{
    deadline::within,
    error::Result,
    hosts::Hosts,
    metrics::{Metrics, Statement},
    pooler::Pooler,
    session::{self, Access, Session},
};

/// How long a new connection may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a statement may take by default.
const STATEMENT_LIMIT: Duration = Duration::from_secs(10);

/// How much longer than a statement's timeout the server may take to report that it cancelled it.
const GRACE: Duration = Duration::from_millis(500);

/// How to reach the database.
#[derive(Clone)]
pub struct Options {
    hosts: Hosts,
    pooler: Pooler,
    /// Applied to each connection once it is open, and not as startup options: poolers refuse options that they do not
    /// know. Where sessions are shared, they are applied in each transaction.
    settings: Vec<(&'static str, String)>,
    /// How long a statement may take before its connection counts as lost.
    limit: Duration,
    metrics: Metrics,
}

impl Options {
    pub(crate) fn of(hosts: Hosts, application: &str, pooler: Pooler) -> Self {
        let hosts = hosts.map(|pg| {
            // floats are sent in binary: the setting would change nothing, and poolers refuse it
            let pg = pg.application_name(application).extra_float_digits(None);
            pg.log_statements(tracing::log::LevelFilter::Off)
        });
        Self { hosts, pooler, settings: Vec::new(), limit: STATEMENT_LIMIT, metrics: Metrics::unseen() }
    }

    /// What these connections do is counted there.
    #[must_use]
    pub fn counted_by(self, metrics: &Metrics) -> Self {
        Self { metrics: metrics.clone(), ..self }
    }

    /// Where it is counted.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.settings.retain(|(other, _)| *other != name);
        self.settings.push((name, value.to_string()));
        self
    }

    /// Statements on these connections are cancelled by the server after `limit`; a little later the connection counts as
    /// lost, since a reachable server would have answered.
    #[must_use]
    pub fn statement_timeout(self, limit: Duration) -> Self {
        Self { limit: limit + GRACE, ..self.with("statement_timeout", limit.as_millis()) }
    }

    /// Each statement is planned for its own values: a generic plan cannot know that a range is narrow.
    #[must_use]
    pub fn with_custom_plans(self) -> Self {
        self.with("plan_cache_mode", "force_custom_plan")
    }

    /// Notices of these connections do not reach the log.
    #[must_use]
    pub(crate) fn quiet(self) -> Self {
        self.with("client_min_messages", "warning")
    }

    /// The server closes the connection and ends its statement once this side has acknowledged nothing for 20 s: a leader
    /// that was cut off does not hold its locks for the quarter of an hour that TCP retries.
    #[must_use]
    pub(crate) fn with_peer_detection(self) -> Self {
        self.with("tcp_user_timeout", 20_000).with("tcp_keepalives_idle", 10)
    }

    /// How long a statement on one of these connections may take.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// One connection with a session of its own.
    pub async fn connect(&self) -> Result<PgConnection> {
        let connecting = self.metrics.begin(Statement::Connect);
        // boxed: inlined into the callers' futures its type would be too deep for the compiler
        let connect = Box::pin(async {
            let (_, mut connection) = self.hosts.connect(CONNECT_TIMEOUT).await.map_err(|error| error.0)?;
            if let Some(settings) = self.statement_of_settings() {
                connection.execute(sqlx::raw_sql(AssertSqlSafe(settings))).await?;
            }
            Ok(connection)
        });
        let connected = within(CONNECT_TIMEOUT, connect).await.map_err(|error| error.0);
        connecting.ended(connected.flatten())
    }

    /// One connection, with a session of its own or a shared one.
    pub(crate) async fn session(&self, access: Access) -> Result<Session> {
        if self.pooler != Pooler::Transaction {
            return Ok(Session::new(self.connect().await?, None, self.metrics.clone()));
        }
        let connecting = self.metrics.begin(Statement::Connect);
        let connected = within(CONNECT_TIMEOUT, Box::pin(self.hosts.connect(CONNECT_TIMEOUT))).await;
        let (_, connection) = connecting.ended(connected.flatten().map_err(|error| error.0))?;
        let opening = session::opening(access, &self.settings);
        Ok(Session::new(connection, Some(opening), self.metrics.clone()))
    }

    /// The values are numbers and constants of this file, so that none needs escaping.
    fn statement_of_settings(&self) -> Option<String> {
        let set = |(name, value): &(&str, String)| format!("set {name} = '{value}'");
        (!self.settings.is_empty()).then(|| self.settings.iter().map(set).collect::<Vec<_>>().join("; "))
    }

    /// For LISTEN, whose session sqlx opens from a pool; with several hosts, for the one that is usable now.
    pub(crate) async fn pool_of_one(&self) -> Result<PgPool> {
        let host = match self.hosts.only() {
            Some(host) => host,
            None => Box::pin(self.hosts.connect(CONNECT_TIMEOUT)).await?.0,
        };
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_TIMEOUT);
        Ok(pool.connect_lazy_with(host.clone()))
    }
}
