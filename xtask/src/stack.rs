//! All of Rowcast on this machine: servers, schema, services.

pub(crate) mod data;
mod prometheus;

use std::{
    path::{Path, PathBuf},
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use testkit::{
    Postgres, Process, Redis,
    postgres::{Durability, free_port},
    process::Program,
    prometheus::Setting,
};

use crate::{
    command::{cargo, run},
    ports::Ports,
    probe,
    setup::Needs,
    terminal::print,
    workspace::Workspace,
};

/// The schema waits for an external database, the services only for their start.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// The services end within 25 s of SIGTERM.
const STOPPED_WITHIN: Duration = Duration::from_secs(26);

const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// What to start.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The folder of the binaries.
    pub(crate) binaries: PathBuf,
    /// The built page.
    pub(crate) page: Option<PathBuf>,
    /// The folder of the servers' data and of all logs.
    pub(crate) data: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) ports: Ports,
    pub(crate) servers: Servers,
    /// How many bytes of recent readings the gateways keep, if not their default.
    pub(crate) window_bytes: Option<u64>,
    pub(crate) access: Access,
}

/// Who is asked for a credential.
#[derive(Debug, Default)]
pub(crate) struct Access {
    /// The issuers whose tokens the gateways ask for, if they ask for any.
    pub(crate) issuers: Option<PathBuf>,
    /// Whether ingest asks for device keys.
    pub(crate) keys: bool,
}

/// External servers, instead of private ones.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) database: Option<String>,
    pub(crate) redis: Option<String>,
}

impl Servers {
    /// Those of the environment.
    pub(crate) fn from_env() -> Self {
        let named = |key| std::env::var(key).ok().filter(|url| !url.is_empty());
        Self { database: named("DATABASE_URL"), redis: named("REDIS_URL") }
    }

    /// What must be installed, without a page.
    pub(crate) fn needs(&self) -> Needs {
        Needs { postgres: self.database.is_none(), redis: self.redis.is_none(), ..Needs::NOTHING }
    }
}

/// Builds everything that is started.
pub(crate) fn build(workspace: &Workspace, release: bool) -> Result<()> {
    // all of the workspace, so that `dev` and `test` agree on the features of the dependencies
    let mut command = cargo(workspace);
    command.args(["build", "--quiet", "--workspace", "--bins"]);
    run(if release { command.arg("--release") } else { &mut command })
}

/// The running processes.
#[derive(Debug)]
pub(crate) struct Stack {
    services: Vec<Service>,
    postgres: Option<Postgres>,
    redis: Option<Redis>,
    pub(crate) database: String,
    pub(crate) ports: Ports,
    binaries: PathBuf,
    data: PathBuf,
}

#[derive(Debug)]
struct Service {
    name: &'static str,
    admin: Option<u16>,
    process: Process,
    reported: bool,
}

impl Stack {
    /// Starts everything and waits until it is ready.
    pub(crate) fn start(plan: Plan) -> Result<Self> {
        let Plan { binaries, page, data, durability, ports, servers, window_bytes, access } = plan;
        data::remove_logs(&data)?;
        let postgres = match &servers.database {
            None => Some(Postgres::start_in(&data.join("postgres"), free_port()?, durability)?),
            Some(_) => None,
        };
        let redis = match &servers.redis {
            None => Some(Redis::start_in(&data, free_port()?)?),
            Some(_) => None,
        };
        let database = servers.database.or(postgres.as_ref().map(|postgres| postgres.url("postgres")));
        let redis_url = servers.redis.or(redis.as_ref().map(Redis::url)).context("no Redis")?;
        let database = database.context("no database")?;
        let mut stack = Self { services: Vec::new(), postgres, redis, database, ports, binaries, data };
        stack.migrate()?;
        stack.start_services(&redis_url, page.as_deref(), &access, window_bytes)?;
        stack.await_ready()?;
        Ok(stack)
    }

    /// Whether Postgres is the stack's own.
    pub(crate) fn has_own_postgres(&self) -> bool {
        self.postgres.is_some()
    }

    /// Starts the simulated sensors.
    pub(crate) fn simulate(&mut self, sensors: u32) -> Result<()> {
        let program = self.program("simulator", "rowcast");
        let args = ["simulate", "--ingest", &self.ports.ingest(), "--sensors", &sensors.to_string()];
        self.add("simulator", None, program.args(args))
    }

    /// Starts a Prometheus that scrapes the services.
    pub(crate) fn monitor(&mut self, rules: &Path, port: u16) -> Result<()> {
        let targets = prometheus::targets(self.ports);
        let setting = Setting {
            installation: prometheus::INSTALLATION,
            targets: &targets,
            rules,
            every: prometheus::EVERY,
        };
        let program = setting.program(&self.data, ([127, 0, 0, 1], port).into())?;
        self.add("prometheus", None, program)
    }

    /// The path of a binary.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.binaries.join(name)
    }

    /// The processes by name: the services, and the servers that are our own.
    pub(crate) fn pids(&self) -> Vec<(&'static str, i32)> {
        let services = self.services.iter().map(|service| (service.name, service.process.id()));
        let postgres = self.postgres.iter().map(|postgres| ("postgres", postgres.process().id()));
        let redis = self.redis.iter().map(|redis| ("redis-server", redis.process().id()));
        services.chain(postgres).chain(redis).collect()
    }

    /// Stops a service until it is restarted.
    pub(crate) fn stop_service(&mut self, name: &str) -> Result<()> {
        self.service(name)?.process.end(Signal::SIGTERM, STOPPED_WITHIN)
    }

    /// Starts a service that was stopped.
    pub(crate) fn restart_service(&mut self, name: &str) -> Result<()> {
        self.service(name)?.process.restart()
    }

    fn service(&mut self, name: &str) -> Result<&mut Service> {
        let found = self.services.iter_mut().find(|service| service.name == name);
        found.with_context(|| format!("no service is called {name}"))
    }

    /// Prints which services have ended since the last call, with the end of their logs. Returns how many.
    pub(crate) fn report_ended(&mut self) -> usize {
        let lost =
            self.services.iter_mut().filter(|service| !service.reported && !service.process.is_running());
        lost.map(|service| {
            service.reported = true;
            print(&format!("{} has ended; the others continue. Its last log lines:", service.name));
            print(&indented(&service.process.tail()));
        })
        .count()
    }

    /// Stops everything: first what uses the servers, then the servers.
    pub(crate) fn stop(&mut self) -> Result<()> {
        for service in self.services.iter().filter(|service| service.process.is_running()) {
            service.process.signal(Signal::SIGTERM)?;
        }
        let until = Instant::now() + STOPPED_WITHIN;
        while self.services.iter().any(|service| service.process.is_running()) && Instant::now() < until {
            sleep(POLL_INTERVAL);
        }
        for service in self.services.iter().filter(|service| service.process.is_running()) {
            print(&format!("{} does not stop and is killed", service.name));
            service.process.kill()?;
        }
        if let Some(redis) = &self.redis {
            redis.process().end(Signal::SIGTERM, Duration::from_secs(5))?;
        }
        if let Some(postgres) = &self.postgres {
            // "fast": sessions are ended, the data is left clean
            postgres.process().end(Signal::SIGINT, Duration::from_secs(30))?;
        }
        Ok(())
    }

    fn migrate(&self) -> Result<()> {
        let log = self.data.join("migrate.log");
        let output = std::fs::File::create(&log).with_context(|| format!("writing {}", log.display()))?;
        let mut command = Command::new(self.binary("migrate"));
        command.env("ROWCAST_DATABASE__URL", &self.database).env("ROWCAST_LOG__FORMAT", "text");
        let status =
            command.stdout(output.try_clone()?).stderr(output).status().context("running migrate")?;
        if !status.success() {
            bail!("migrate failed ({status}):\n{}", indented(&std::fs::read_to_string(&log)?));
        }
        Ok(())
    }

    fn start_services(
        &mut self,
        redis: &str,
        page: Option<&Path>,
        access: &Access,
        window_bytes: Option<u64>,
    ) -> Result<()> {
        let Ports { gateway_port, ingest_port, admin_port, .. } = self.ports;
        let ingest = self
            .service_program("ingest", "ingest", admin_port)
            .env("ROWCAST_HTTP__ADDR", local(ingest_port))
            .env("ROWCAST_AUTH__ENABLED", access.keys.to_string());
        self.add("ingest", Some(admin_port), ingest)?;
        let first = std::iter::once((gateway_port, admin_port + 1));
        for (nth, (port, admin)) in (1..).zip(first.chain(self.ports.further_gateways())) {
            let log = if nth == 1 { "ws-gateway".to_owned() } else { format!("ws-gateway-{nth}") };
            let mut gateway = self
                .service_program(&log, "ws-gateway", admin)
                .env("ROWCAST_REDIS__URL", redis)
                .env("ROWCAST_HTTP__ADDR", local(port))
                .env("ROWCAST_GATEWAY__INGEST_URL", self.ports.ingest());
            if let Some(page) = page {
                gateway = gateway.env("ROWCAST_GATEWAY__PAGE", page.display().to_string());
            }
            if let Some(issuers) = &access.issuers {
                gateway = gateway
                    .env("ROWCAST_AUTH__ENABLED", "true")
                    .env("ROWCAST_AUTH__ISSUERS_FILE", issuers.display().to_string());
            }
            if let Some(bytes) = window_bytes {
                gateway = gateway.env("ROWCAST_GATEWAY__WINDOW_BYTES", bytes.to_string());
            }
            self.add("ws-gateway", Some(admin), gateway)?;
        }
        let listener = self.service_program("notify-listener", "notify-listener", admin_port + 2);
        self.add("notify-listener", Some(admin_port + 2), listener.env("ROWCAST_REDIS__URL", redis))
    }

    fn service_program(&self, log: &str, binary: &str, admin: u16) -> Program {
        self.program(log, binary)
            .env("ROWCAST_DATABASE__URL", &self.database)
            .env("ROWCAST_ADMIN__ADDR", local(admin))
            .env("ROWCAST_LOG__FORMAT", "text")
            .env("NO_COLOR", "1")
    }

    fn await_ready(&mut self) -> Result<()> {
        let until = Instant::now() + READY_WITHIN;
        let mut waiting: Vec<u16> = self.services.iter().filter_map(|service| service.admin).collect();
        loop {
            waiting.retain(|port| !probe::is_ready(*port));
            if let Some(lost) = self.services.iter().find(|service| !service.process.is_running()) {
                bail!("{} has ended:\n{}", lost.name, indented(&lost.process.tail()));
            }
            if waiting.is_empty() {
                return Ok(());
            }
            if Instant::now() > until {
                let tails = self.services.iter().map(|service| indented(&service.process.tail()));
                let tails = tails.collect::<Vec<_>>().join("\n");
                bail!("not ready within {READY_WITHIN:?}: see 127.0.0.1:{waiting:?}/readyz\n{tails}");
            }
            sleep(POLL_INTERVAL);
        }
    }

    fn program(&self, name: &str, binary: &str) -> Program {
        Program::new(self.binary(binary), self.data.join(format!("{name}.log")))
    }

    fn add(&mut self, name: &'static str, admin: Option<u16>, program: Program) -> Result<()> {
        self.services.push(Service { name, admin, process: Process::start(program)?, reported: false });
        Ok(())
    }
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
