//! A child process that holds the servers, in a process group of its own: Ctrl-C signals every process in the
//! foreground, and Postgres must stop after the services have drained.

use std::{
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
};

/// What the parent passes to the child.
#[derive(Debug, Args)]
pub(crate) struct ChildProcess {
    /// Where the data goes; if given, this is the child
    #[arg(long, hide = true)]
    data: Option<PathBuf>,
    /// When the parent began, in milliseconds since 1970
    #[arg(long, hide = true, default_value_t = now())]
    began: u64,
}

impl ChildProcess {
    /// The folder for the data, in the child.
    pub(crate) fn data(&self) -> Option<PathBuf> {
        self.data.clone()
    }

    /// Since the parent began.
    pub(crate) fn elapsed(&self) -> Duration {
        Duration::from_millis(now().saturating_sub(self.began))
    }

    /// Runs this program again with the same arguments, and passes signals on to it.
    pub(crate) fn run(&self, data: PathBuf) -> Result<()> {
        // not by its path: building everything has put a newer file there
        let mut command = Command::new("/proc/self/exe");
        command
            .arg("--data")
            .arg(data)
            .args(["--began", &self.began.to_string()])
            .args(std::env::args_os().skip(1));
        command.process_group(0).stdin(Stdio::null());
        let status = runtime()?.block_on(wait(command))?;
        match status.code() {
            Some(0) => Ok(()),
            Some(_) => Err(Reported.into()),
            None => bail!("ended by a signal: {status}"),
        }
    }
}

/// The child failed and has printed why.
#[derive(Debug)]
pub(crate) struct Reported;

impl std::fmt::Display for Reported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("failed")
    }
}

impl std::error::Error for Reported {}

async fn wait(mut command: Command) -> Result<ExitStatus> {
    let mut signals = Signals::new()?;
    let mut child = command.spawn().context("cannot start the process that holds the servers")?;
    loop {
        tokio::select! {
            status = child.wait() => return Ok(status?),
            () = signals.next() => {
                if let Some(pid) = child.id() {
                    let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM);
                }
            }
        }
    }
}

/// The signals that stop this program.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    pub(crate) fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

/// The child's runtime; the child stops when the parent ends, even if it is killed.
pub(crate) fn runtime_in_child() -> Result<tokio::runtime::Runtime> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGTERM).context("cannot request a signal at the parent's end")?;
    // the server's user may not be allowed to enter the folder that we were started in
    std::env::set_current_dir("/")?;
    runtime()
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("the runtime does not start")
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis().try_into().unwrap_or(u64::MAX)
}
