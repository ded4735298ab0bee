//! A child process that can be stopped, continued and killed, and that ends with its owner.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};

/// Starts the program, which prints its process id before it is executed and can print anything, and kills it when
/// standard input ends, which it does when the owner dies by whatever means. The first argument is the signal.
const WATCHDOG: &str = r#"signal=$1; shift; sh -c 'echo $$; exec "$@"' child "$@" </dev/null & child=$!; exec >/dev/null; cat >/dev/null; kill -"$signal" $child 2>/dev/null; kill -CONT $child 2>/dev/null; wait $child"#;

/// What to run.
#[derive(Debug, Clone)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment, beside what is inherited.
    pub env: HashMap<String, String>,
    /// Where its output goes; appended to.
    pub log: PathBuf,
    /// The signal it gets when its owner has ended.
    pub last_signal: &'static str,
    /// The user to run as, if the owner is root.
    pub user: Option<&'static str>,
}

impl Program {
    /// A program without arguments that is killed when its owner has ended.
    pub fn new(path: impl Into<PathBuf>, log: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            args: Vec::new(),
            env: HashMap::new(),
            log: log.into(),
            last_signal: "KILL",
            user: None,
        }
    }

    /// With arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn env(mut self, key: &str, value: impl Into<String>) -> Self {
        self.env.insert(key.to_owned(), value.into());
        self
    }
}

/// A running [`Program`].
#[derive(Debug)]
pub struct Process {
    program: Program,
    watchdog: Child,
    pid: Pid,
    log_start: u64,
}

impl Process {
    /// Starts it.
    pub fn start(program: Program) -> Result<Self> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&program.log)
            .with_context(|| format!("cannot open the log {}", program.log.display()))?;
        let log_start = log.metadata()?.len();
        let mut command = Command::new("sh");
        command.args(["-c", WATCHDOG, "watchdog", program.last_signal]);
        if let Some(user) = program.user.filter(|_| nix::unistd::geteuid().is_root()) {
            command.args(["setpriv", "--reuid", user, "--regid", user, "--clear-groups"]);
        }
        let mut watchdog = command
            .arg(&program.path)
            .args(&program.args)
            .envs(&program.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("cannot start a shell")?;
        let mut pid = String::new();
        let output = watchdog.stdout.take().context("the watchdog has no output")?;
        let mut output = BufReader::new(output);
        output.read_line(&mut pid)?;
        let pid = Pid::from_raw(pid.trim().parse().context("the watchdog printed no process id")?);
        let copy = OpenOptions::new().append(true).open(&program.log)?;
        std::thread::spawn(move || copy_lines(output, copy));
        Ok(Self { program, watchdog, pid, log_start })
    }

    /// The process id.
    pub fn id(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        // a zombie that its shell has not reaped yet has ended, but while other threads of it end, its ports are in use
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid)).map_or(0, Iterator::count);
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid));
        threads > 1
            || stat.is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| !rest.starts_with('Z')))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        signal::kill(self.pid, signal).with_context(|| format!("cannot send {signal} to {}", self.pid))
    }

    /// Kills it and waits for its end.
    pub fn kill(&self) -> Result<()> {
        self.end(Signal::SIGKILL, Duration::from_secs(5))
    }

    /// Sends the signal and waits for the end.
    pub fn end(&self, signal: Signal, within: Duration) -> Result<()> {
        if self.is_running() {
            self.signal(signal)?;
        }
        let until = Instant::now() + within;
        while self.is_running() {
            if Instant::now() > until {
                bail!("{} did not end within {within:?} of {signal}", self.program.path.display());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Waits for the end by itself or by a signal sent before; its exit code where it has one.
    pub fn wait(mut self, within: Duration) -> Result<Option<i32>> {
        let until = Instant::now() + within;
        while self.is_running() {
            if Instant::now() > until {
                bail!("{} still runs after {within:?}\n{}", self.program.path.display(), self.tail());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        drop(self.watchdog.stdin.take());
        Ok(self.watchdog.wait()?.code())
    }

    /// Starts the same program again, after this one has ended.
    pub fn restart(&mut self) -> Result<()> {
        *self = Self::start(self.program.clone())?;
        Ok(())
    }

    /// What it has logged since it started.
    pub fn output(&self) -> String {
        let mut text = String::new();
        if let Ok(mut log) = File::open(&self.program.log) {
            let _ = log.seek(SeekFrom::Start(self.log_start));
            let _ = log.read_to_string(&mut text);
        }
        text
    }

    /// The last lines that it has logged.
    pub fn tail(&self) -> String {
        let output = self.output();
        let lines: Vec<&str> = output.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// The address that it listens on, according to its log, as the port of that name.
    pub fn listening(&self, port: &str, within: Duration) -> Result<SocketAddr> {
        let until = Instant::now() + within;
        loop {
            let found = self.output().lines().find_map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).ok()?;
                let listens = line["message"] == "listening" && line["port"] == port;
                listens.then(|| line["addr"].as_str()?.parse().ok()).flatten()
            });
            match found {
                Some(addr) => return Ok(addr),
                None if !self.is_running() => {
                    bail!("{} ended:\n{}", self.program.path.display(), self.tail())
                }
                None if Instant::now() > until => bail!("no {port} port within {within:?}:\n{}", self.tail()),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

fn copy_lines(mut from: impl Read, mut to: File) {
    let _ = std::io::copy(&mut from, &mut to);
}

/// A program of that name on the path or in one of Debian's places.
pub fn find_program(name: &str, places: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(places.iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|program: &PathBuf| Path::is_file(program))
}
