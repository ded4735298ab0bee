//! One installation of Rowcast: its own Postgres and Redis, its services, and a proxy on each link.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use testkit::{PgBouncer, Postgres, Process, Proxy, Redis, postgres::free_port, process::Program, wait_for};

use crate::{
    http::{self, Answer},
    users,
};

/// How long anything may take to become ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// What to start.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many gateways.
    pub gateways: usize,
    /// How many listeners.
    pub listeners: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self { gateways: 2, listeners: 1 }
    }
}

/// A service's process and where it listens.
#[derive(Debug)]
pub struct Running {
    /// The process.
    pub process: Process,
    /// Its public port, if it has one; the same after a restart.
    pub http: Option<SocketAddr>,
    /// Its admin port.
    pub admin: SocketAddr,
    /// The proxy to Postgres.
    pub to_postgres: Proxy,
    /// The proxy to Redis, if it uses Redis.
    pub to_redis: Option<Proxy>,
}

impl Running {
    /// Its public port.
    pub fn public(&self) -> SocketAddr {
        self.http.expect("this service has a public port")
    }

    /// Waits until it is ready.
    pub async fn await_ready(&self) {
        self.await_readiness("readiness", |answer| answer.status == 200).await;
    }

    /// Waits until it is not ready.
    pub async fn await_unready(&self) {
        wait_for("unreadiness", READY_WITHIN, || async {
            match http::get(self.admin, "/readyz").await {
                Ok(answer) if answer.status == 200 => Err(answer.body),
                _ => Ok(()),
            }
        })
        .await;
    }

    /// Waits until this condition is degraded and the service is ready nevertheless.
    pub async fn await_degraded(&self, condition: &str) {
        let is_degraded = |answer: &Answer| answer.json()["degraded"][condition].is_string();
        self.await_readiness("a degraded condition", |answer| answer.status == 200 && is_degraded(answer))
            .await;
    }

    /// Waits until it is ready and nothing is degraded.
    pub async fn await_healthy(&self) {
        let is_healthy = |answer: &Answer| answer.json()["degraded"] == serde_json::json!({});
        self.await_readiness("all conditions", |answer| answer.status == 200 && is_healthy(answer)).await;
    }

    async fn await_readiness(&self, what: &str, expected: impl Fn(&Answer) -> bool) {
        wait_for(what, READY_WITHIN, || async {
            match http::get(self.admin, "/readyz").await {
                Ok(answer) if expected(&answer) => Ok(()),
                Ok(answer) => Err(answer.body),
                Err(error) => Err(format!("{error:#}")),
            }
        })
        .await;
    }

    /// The value of a metric, by its name with its labels.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        let text = http::get(self.admin, "/metrics").await?.body;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).with_context(|| format!("there is no metric {name}"))
    }

    /// Kills it and starts it again.
    pub fn crash_and_start(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.restart()
    }
}

/// The whole installation.
#[derive(Debug)]
pub struct Stack {
    /// Its database server.
    pub postgres: Postgres,
    /// The pooler between the database and ingest and the gateways, if there is one.
    pub pooler: Option<PgBouncer>,
    /// Its stream's server.
    pub redis: Redis,
    /// The service to which devices POST.
    pub ingest: Running,
    /// The services to which clients connect.
    pub gateways: Vec<Running>,
    /// The services that forward.
    pub listeners: Vec<Running>,
    logs: TempDir,
}

/// Another installation on the Redis of a [`Stack`].
#[derive(Debug)]
pub struct Neighbour {
    /// The service to which its clients connect.
    pub gateway: Running,
    /// The service that forwards its readings.
    pub listener: Running,
}

/// The environment that connects every service to this database directly, without the stack's proxies; the URL is the owner's.
pub fn all_at(database: &str) -> [(String, String); 3] {
    ["ingest", "ws-gateway", "notify-listener"]
        .map(|name| (format!("{name}:ROWCAST_DATABASE__URL"), users::url(database, name)))
}

/// An environment as [`Stack::start_with`] takes it.
pub fn borrowed(env: &[(String, String)]) -> Vec<(&str, &str)> {
    env.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

/// The database that a stack uses.
pub const DATABASE: &str = "postgres";

impl Stack {
    /// Starts everything, and waits until all of it is ready.
    pub async fn start(plan: Plan) -> Result<Self> {
        Self::start_with(plan, &[]).await
    }

    /// With additional environment variables of the services.
    pub async fn start_with(plan: Plan, env: &[(&str, &str)]) -> Result<Self> {
        Self::start_on(Postgres::start()?, None, plan, env).await
    }

    /// The same on a running database server, with an optional pooler before it.
    pub async fn start_on(
        postgres: Postgres,
        pooler: Option<PgBouncer>,
        plan: Plan,
        env: &[(&str, &str)],
    ) -> Result<Self> {
        let logs = TempDir::with_prefix("rowcast-e2e-")?;
        let redis = Redis::start()?;
        users::create(&postgres)?;
        migrate(&postgres, DATABASE, logs.path())?;
        let port = pooler.as_ref().map_or(postgres.port(), |pooler| pooler.port());
        let direct =
            Launch { port: postgres.port(), database: DATABASE, redis: &redis, logs: logs.path(), env };
        let launch = Launch { port, ..direct };
        let ingest = launch.service("ingest", 0, true, false).await?;
        let mut gateways = Vec::new();
        for number in 0..plan.gateways {
            gateways.push(launch.service("ws-gateway", number, true, true).await?);
        }
        let mut listeners = Vec::new();
        for number in 0..plan.listeners {
            listeners.push(direct.service("notify-listener", number, false, true).await?);
        }
        let stack = Self { postgres, pooler, redis, ingest, gateways, listeners, logs };
        for service in stack.services() {
            service.await_ready().await;
        }
        Ok(stack)
    }

    /// Starts another replica of ingest, and waits until it is ready.
    pub async fn start_ingest(&self) -> Result<Running> {
        let port = self.postgres.port();
        let launch =
            Launch { port, database: DATABASE, redis: &self.redis, logs: self.logs.path(), env: &[] };
        let replica = launch.service("ingest", 1, true, false).await?;
        replica.await_ready().await;
        Ok(replica)
    }

    /// Starts another installation on this one's Redis, with a database of its own.
    pub async fn start_neighbour(&self, postgres: &Postgres, database: &str) -> Result<Neighbour> {
        let logs = self.logs.path().join(database);
        std::fs::create_dir_all(&logs)?;
        users::create(postgres)?;
        migrate(postgres, database, &logs)?;
        let launch = Launch { port: postgres.port(), database, redis: &self.redis, logs: &logs, env: &[] };
        Ok(Neighbour {
            gateway: launch.service("ws-gateway", 0, true, true).await?,
            listener: launch.service("notify-listener", 0, false, true).await?,
        })
    }

    /// Every service.
    pub fn services(&self) -> impl Iterator<Item = &Running> {
        std::iter::once(&self.ingest).chain(&self.gateways).chain(&self.listeners)
    }

    /// Runs SQL and returns the output of psql.
    pub fn psql(&self, sql: &str) -> String {
        self.postgres.psql(DATABASE, sql).expect("the SQL runs")
    }

    /// The URL of the database for a program, with that one's user.
    pub fn database_url(&self, program: &str) -> String {
        users::url(&self.postgres.url(DATABASE), program)
    }

    /// The logs of all services, for a failure's report.
    pub fn logs(&self) -> &Path {
        self.logs.path()
    }

    /// Waits until all services are ready again, after a fault.
    pub async fn await_ready(&self) {
        for service in self.services() {
            service.await_ready().await;
        }
    }
}

#[derive(Clone, Copy)]
struct Launch<'a> {
    /// The port of the database server, or of the pooler before it.
    port: u16,
    database: &'a str,
    redis: &'a Redis,
    logs: &'a Path,
    env: &'a [(&'a str, &'a str)],
}

impl Launch<'_> {
    async fn service(&self, name: &str, number: usize, public: bool, redis: bool) -> Result<Running> {
        let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let to_postgres = Proxy::start(local(self.port)).await?;
        let to_redis = if redis { Some(Proxy::start(local(self.redis.port())).await?) } else { None };
        let admin = local(free_port()?);
        let http = if public { Some(local(free_port()?)) } else { None };
        let database = format!("postgres://{}@{}/{}", users::name(name), to_postgres.addr(), self.database);
        let mut program = Program::new(binary(name)?, self.logs.join(format!("{name}-{number}.log")))
            .env("ROWCAST_DATABASE__URL", database)
            .env("ROWCAST_ADMIN__ADDR", admin.to_string());
        if let Some(proxy) = &to_redis {
            program = program.env("ROWCAST_REDIS__URL", format!("redis://{}/", proxy.addr()));
        }
        if let Some(http) = http {
            program = program.env("ROWCAST_HTTP__ADDR", http.to_string());
        }
        for (key, value) in self.env {
            let own = key.strip_prefix(&format!("{name}:"));
            if let Some(key) = own {
                program = program.env(key, *value);
            }
        }
        Ok(Running { process: Process::start(program)?, http, admin, to_postgres, to_redis })
    }
}

/// Runs the migrate job to its end.
pub fn migrate(postgres: &Postgres, database: &str, logs: &Path) -> Result<()> {
    let program = Program::new(binary("migrate")?, logs.join("migrate.log"))
        .env("ROWCAST_DATABASE__URL", postgres.url(database));
    match Process::start(program)?.wait(READY_WITHIN)? {
        _ if postgres.psql(database, "select to_regclass('rowcast.tick') is not null")? == "t" => Ok(()),
        code => bail!("migrate ended with {code:?}: {}", std::fs::read_to_string(logs.join("migrate.log"))?),
    }
}

/// A service's executable, built beside this test.
pub fn binary(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.ancestors().find(|folder| folder.join(name).is_file());
    folder
        .map(|folder| folder.join(name))
        .with_context(|| format!("{name} is not built: `cargo build --workspace --bins`"))
}
