//! A private Redis from the system's packages.

use std::{
    io::{Read, Write},
    net::TcpStream,
    ops::Deref,
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{
    postgres::free_port,
    process::{Program, find_program},
    server::Server,
};

/// A server of its own that keeps nothing on disk.
#[derive(Debug)]
pub struct Redis {
    server: Server,
    _scratch: Option<TempDir>,
}

impl Redis {
    /// Whether the program is installed.
    pub fn is_installed() -> bool {
        program().is_some()
    }

    /// Starts one on a free port.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// Starts one with further arguments, such as `--replicaof` and its address.
    pub fn start_with(arguments: &[&str]) -> Result<Self> {
        let scratch = TempDir::with_prefix("rowcast-redis-")?;
        let mut redis = Self::start_at(scratch.path(), free_port()?, arguments)?;
        redis._scratch = Some(scratch);
        Ok(redis)
    }

    /// Starts one whose log is in `folder`.
    pub fn start_in(folder: &Path, port: u16) -> Result<Self> {
        Self::start_at(folder, port, &[])
    }

    fn start_at(folder: &Path, port: u16, arguments: &[&str]) -> Result<Self> {
        let program = program().context("Redis is not installed")?;
        let port_text = port.to_string();
        let program = Program::new(program, folder.join("redis.log")).args([
            "--port",
            &port_text,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            &folder.display().to_string(),
            "--loglevel",
            "warning",
        ]);
        let program = program.args(arguments.iter().copied());
        Ok(Self { server: Server::start(program, port, answers_ping)?, _scratch: None })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port())
    }

    /// Kills it and starts it again, empty, on the same port.
    pub fn crash_and_start(&mut self) -> Result<()> {
        self.server.end_and_start(Signal::SIGKILL)
    }

    /// Sends one command and gives the raw reply's first part: enough for `FLUSHALL`, `XLEN` and their like.
    pub fn command(&self, words: &[&str]) -> Result<String> {
        ask(self.port(), words)
    }
}

impl Deref for Redis {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

pub(crate) fn ask(port: u16, words: &[&str]) -> Result<String> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    socket.write_all(request.as_bytes())?;
    let mut reply = vec![0; 64 * 1024];
    let length = socket.read(&mut reply)?;
    Ok(String::from_utf8_lossy(&reply[..length]).into_owned())
}

/// Whether the server or Sentinel at a port answers `PING`.
pub(crate) fn answers_ping(port: u16) -> Result<()> {
    let reply = ask(port, &["PING"])?;
    ensure!(reply.starts_with("+PONG"), "PING: {reply:?}");
    Ok(())
}

pub(crate) fn program() -> Option<std::path::PathBuf> {
    find_program("redis-server", &["/usr/bin"]).or_else(|| find_program("valkey-server", &["/usr/bin"]))
}
