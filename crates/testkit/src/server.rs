//! A server process on a loopback port, and when it is ready.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::sys::signal::Signal;

use crate::process::{Process, Program};

/// How long a server may take to start.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How long it may take to end when it is made to crash.
const ENDED_WITHIN: Duration = Duration::from_secs(10);

/// What the private servers have in common.
#[derive(Debug)]
pub struct Server {
    process: Process,
    port: u16,
    ready: fn(u16) -> Result<()>,
}

impl Server {
    /// Starts it; returns when `ready` gives no error for its port.
    pub(crate) fn start(program: Program, port: u16, ready: fn(u16) -> Result<()>) -> Result<Self> {
        let server = Self { process: Process::start(program)?, port, ready };
        server.await_ready()?;
        Ok(server)
    }

    /// Its port on the loopback address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its main process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Ends it by a signal and starts it again on the same port.
    pub(crate) fn end_and_start(&mut self, signal: Signal) -> Result<()> {
        self.process.end(signal, ENDED_WITHIN)?;
        self.process.restart()?;
        self.await_ready()
    }

    fn await_ready(&self) -> Result<()> {
        let until = Instant::now() + READY_WITHIN;
        while let Err(error) = (self.ready)(self.port) {
            if !self.process.is_running() || Instant::now() > until {
                bail!("the server did not start: {error:#}\n{}", self.process.tail());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}
