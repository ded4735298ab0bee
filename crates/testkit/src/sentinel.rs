//! A private Sentinel, which makes a replica the master when the master fails.

use std::fs;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{
    postgres::free_port,
    process::Program,
    redis::{Redis, answers_ping, ask, program},
    server::Server,
};

/// One that decides alone, after 0.3 s.
#[derive(Debug)]
pub struct Sentinel {
    server: Server,
    _scratch: TempDir,
}

impl Sentinel {
    /// Starts one that watches the server under this name.
    pub fn start(master: &str, of: &Redis) -> Result<Self> {
        let scratch = TempDir::with_prefix("rowcast-sentinel-")?;
        let (folder, port, watched) = (scratch.path(), free_port()?, of.port());
        let config = folder.join("sentinel.conf");
        let lines = [
            format!("port {port}\nbind 127.0.0.1\ndir {}", folder.display()),
            format!("sentinel monitor {master} 127.0.0.1 {watched} 1"),
            format!("sentinel down-after-milliseconds {master} 300"),
            format!("sentinel failover-timeout {master} 3000\n"),
        ];
        fs::write(&config, lines.join("\n"))?;
        let program = Program::new(program().context("Redis is not installed")?, folder.join("sentinel.log"));
        let program = program.args([&config.display().to_string(), "--sentinel"]);
        Ok(Self { server: Server::start(program, port, answers_ping)?, _scratch: scratch })
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.server.port())
    }

    /// Sends one command and gives the raw reply's first part.
    pub fn command(&self, words: &[&str]) -> Result<String> {
        ask(self.server.port(), words)
    }
}
