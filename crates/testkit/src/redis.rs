//! A private Redis from the system's packages.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{
    postgres::free_port,
    process::{Process, Program, find_program},
};

/// A server of its own that keeps nothing on disk.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: u16,
    _scratch: Option<TempDir>,
}

impl Redis {
    /// Whether the program is installed.
    pub fn is_installed() -> bool {
        server().is_some()
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

    /// Starts one whose log lies in `folder`.
    pub fn start_in(folder: &Path, port: u16) -> Result<Self> {
        Self::start_at(folder, port, &[])
    }

    fn start_at(folder: &Path, port: u16, arguments: &[&str]) -> Result<Self> {
        let server = server().context("Redis is not installed")?;
        let port_text = port.to_string();
        let program = Program::new(server, folder.join("redis.log")).args([
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
        let redis = Self { process: Process::start(program)?, port, _scratch: None };
        redis.await_ready()?;
        Ok(redis)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Its port on the loopback address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Kills it and starts it again, empty, on the same port.
    pub fn crash_and_start(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.restart()?;
        self.await_ready()
    }

    /// Sends one command and gives the raw reply's first part: enough for `FLUSHALL`, `XLEN` and their like.
    pub fn command(&self, words: &[&str]) -> Result<String> {
        ask(self.port, words)
    }

    fn await_ready(&self) -> Result<()> {
        await_pong(&self.process, self.port)
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

pub(crate) fn await_pong(process: &Process, port: u16) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let running = process.is_running();
        match ask(port, &["PING"]) {
            Ok(reply) if reply.starts_with("+PONG") => return Ok(()),
            answer if !running || Instant::now() > until => {
                bail!("Redis did not start; running: {running}, PING: {answer:?}\n{}", process.tail())
            }
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

pub(crate) fn server() -> Option<std::path::PathBuf> {
    find_program("redis-server", &["/usr/bin"]).or_else(|| find_program("valkey-server", &["/usr/bin"]))
}
