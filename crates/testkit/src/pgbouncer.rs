//! A private PgBouncer from the system's packages.

use std::{fs, ops::Deref};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{
    postgres::{Postgres, free_port, give_to_user, psql, url},
    process::{Program, find_program},
    server::Server,
};

/// The user that it runs as if we are root: it refuses to run as root.
const USER: &str = "postgres";

/// For how long a session is assigned.
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
    server: Server,
    _scratch: TempDir,
}

impl PgBouncer {
    /// Whether the program is installed.
    pub fn is_installed() -> bool {
        find_program("pgbouncer", &["/usr/sbin"]).is_some()
    }

    /// Starts one for these users, beside `postgres`, that has at most `size` sessions of each user and database.
    pub fn start(postgres: &Postgres, mode: PoolMode, size: u32, users: &[String]) -> Result<Self> {
        let program = find_program("pgbouncer", &["/usr/sbin"]).context("PgBouncer is not installed")?;
        let scratch = TempDir::with_prefix("rowcast-pgbouncer-")?;
        let port = free_port()?;
        let mode = match mode {
            PoolMode::Session => "session",
            PoolMode::Transaction => "transaction",
        };
        let names = scratch.path().join("users.txt");
        let lines = [
            "[databases]".to_owned(),
            format!("* = host=127.0.0.1 port={}", postgres.port()),
            "[pgbouncer]".to_owned(),
            format!("listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir ="),
            format!("pool_mode = {mode}\ndefault_pool_size = {size}\nmax_client_conn = 500"),
            format!("auth_type = trust\nauth_file = {}\nadmin_users = postgres\n", names.display()),
        ];
        let all = users.iter().map(String::as_str).chain(["postgres"]);
        fs::write(&names, all.map(|user| format!("\"{user}\" \"\"\n")).collect::<String>())?;
        let config = scratch.path().join("pgbouncer.ini");
        fs::write(&config, lines.join("\n"))?;
        give_to_user(scratch.path())?;
        let program = Program {
            user: Some(USER),
            ..Program::new(program, scratch.path().join("pgbouncer.log")).args([config.display().to_string()])
        };
        let server =
            Server::start(program, port, |port| psql(&url(port, "pgbouncer"), "show version").map(drop))?;
        Ok(Self { server, _scratch: scratch })
    }

    /// The URL of a database behind it.
    pub fn url(&self, database: &str) -> String {
        url(self.port(), database)
    }

    /// Kills it and starts it again.
    pub fn crash_and_start(&mut self) -> Result<()> {
        self.server.end_and_start(Signal::SIGKILL)
    }

    /// A command of its console, such as `show pools`.
    pub fn command(&self, words: &str) -> Result<String> {
        psql(&self.url("pgbouncer"), words)
    }
}

impl Deref for PgBouncer {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}
