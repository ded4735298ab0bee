//! A private PgBouncer from the system's packages.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{
    Postgres,
    postgres::{free_port, psql},
    process::{Process, Program, find_program},
};

/// The user that root hands it to: it refuses to run as root.
const USER: &str = "postgres";

/// For how long a session is lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// To one client for as long as it is connected.
    Session,
    /// For a transaction.
    Transaction,
}

/// A pooler before a [`Postgres`], which it knows by the names of its databases.
#[derive(Debug)]
pub struct PgBouncer {
    process: Process,
    port: u16,
    _scratch: TempDir,
}

impl PgBouncer {
    /// Whether the program is installed.
    pub fn is_installed() -> bool {
        find_program("pgbouncer", &["/usr/sbin"]).is_some()
    }

    /// Starts one that has at most `size` sessions of each database.
    pub fn start(before: &Postgres, mode: PoolMode, size: u32) -> Result<Self> {
        let program = find_program("pgbouncer", &["/usr/sbin"]).context("PgBouncer is not installed")?;
        let scratch = TempDir::with_prefix("rowcast-pgbouncer-")?;
        let port = free_port()?;
        let mode = match mode {
            PoolMode::Session => "session",
            PoolMode::Transaction => "transaction",
        };
        let lines = [
            "[databases]".to_owned(),
            format!("* = host=127.0.0.1 port={} user=postgres", before.port()),
            "[pgbouncer]".to_owned(),
            format!("listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir ="),
            format!("pool_mode = {mode}\ndefault_pool_size = {size}\nmax_client_conn = 500"),
            "auth_type = any\nadmin_users = postgres\n".to_owned(),
        ];
        let config = scratch.path().join("pgbouncer.ini");
        fs::write(&config, lines.join("\n"))?;
        crate::postgres::open_to_others(scratch.path())?;
        let program = Program {
            user: Some(USER),
            ..Program::new(program, scratch.path().join("pgbouncer.log")).args([config.display().to_string()])
        };
        let pooler = Self { process: Process::start(program)?, port, _scratch: scratch };
        pooler.await_ready()?;
        Ok(pooler)
    }

    /// The URL of a database behind it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Its port on the loopback address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Kills it and starts it again.
    pub fn crash_and_start(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.restart()?;
        self.await_ready()
    }

    /// A command of its console, such as `show pools`.
    pub fn command(&self, words: &str) -> Result<String> {
        psql(&self.url("pgbouncer"), words)
    }

    fn await_ready(&self) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(30);
        while let Err(error) = self.command("show version") {
            if !self.process.is_running() || Instant::now() > until {
                bail!("PgBouncer did not start: {error:#}\n{}", self.process.tail());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}
