//! Whole processes: signals, exit codes and log lines.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process that still runs after this long is killed, and its test fails for lack of an exit code.
const LONG: Duration = Duration::from_secs(15);

/// Cargo builds the examples beside the tests, but not for `--test process` alone, which would run an old one.
fn probe() -> Command {
    let tests = std::env::current_exe().unwrap();
    let path: PathBuf = tests.parent().unwrap().parent().unwrap().join("examples").join("probe");
    assert!(path.exists(), "{} is not built", path.display());
    let mut command = Command::new(path);
    command
        .env_clear()
        .env("ROWCAST_BIN_DIR", "/not/configuration")
        .env("ROWCAST_ADMIN__ADDR", "127.0.0.1:0")
        .env("ROWCAST_HTTP__ADDR", "127.0.0.1:0");
    command
}

struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
    /// The log so far.
    log: String,
    /// Dropped with the test: until then a watchdog may kill the process, which ends every read of its log.
    _watched: mpsc::Sender<()>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let pid = pid(&child);
        let (watched, released) = mpsc::channel();
        thread::spawn(move || {
            if released.recv_timeout(LONG) == Err(RecvTimeoutError::Timeout) {
                let _ = kill(pid, Signal::SIGKILL);
            }
        });
        Self { child, out, log: String::new(), _watched: watched }
    }

    /// Reads the log up to the line with this message.
    fn line(&mut self, wanted: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        loop {
            let mut line = String::new();
            assert!(self.out.read_line(&mut line).unwrap() > 0, "the log ended:\n{}", self.log);
            self.log.push_str(&line);
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            if wanted(&line) {
                return line;
            }
        }
    }

    fn addr(&mut self, port: &str) -> SocketAddr {
        let line = self.line(|line| line["message"] == "listening" && line["port"] == port);
        line["addr"].as_str().unwrap().parse().unwrap()
    }

    fn wait_for_message(&mut self, message: &str) {
        self.line(|line| line["message"] == message);
    }

    fn signal(&self) {
        kill(pid(&self.child), Signal::SIGTERM).unwrap();
    }

    /// The exit code, with the rest of the log read.
    fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        // Ends when the process does: nothing else holds the pipe.
        self.out.read_to_string(&mut rest).unwrap();
        let code = self.child.wait().unwrap().code();
        (code, std::mem::take(&mut self.log) + &rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

fn get(addr: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut message = String::new();
    stream.read_to_string(&mut message).unwrap();
    message
}

fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn a_panic_ends_its_connection_alone_and_is_counted_and_an_error() {
    let mut probe = Running::start(&mut probe());
    let admin = probe.addr("admin");
    let public = probe.addr("public");
    probe.wait_for_message("condition holds");
    let panics = || {
        let metrics = get(admin, "/metrics");
        metrics.lines().find_map(|line| line.strip_prefix("rowcast_panics_total ").map(str::to_owned))
    };
    assert_eq!(panics().as_deref(), Some("0"));
    assert_eq!(get(public, "/panic"), "");
    let line = probe.line(|line| line["level"] == "ERROR");
    let panic = line["panic"].as_str().unwrap();
    assert!(panic.contains("a fault of ours") && panic.contains("probe.rs"), "{line}");
    assert_eq!(panics().as_deref(), Some("1"));
    assert!(get(public, "/").ends_with("hello"));
    probe.signal();
    let (code, log) = probe.end();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn sigterm_drains_and_exits_with_0() {
    let mut probe = Running::start(&mut probe());
    let admin = probe.addr("admin");
    let public = probe.addr("public");
    probe.wait_for_message("condition holds");
    assert!(get(public, "/").ends_with("hello"));
    assert!(get(admin, "/livez").ends_with("ok"));
    assert!(get(admin, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(get(admin, "/version").contains(r#""name":"probe""#));
    let metrics = get(admin, "/metrics");
    assert!(metrics.contains("content-type: text/plain; version=0.0.4"), "{metrics}");
    let build = metrics.lines().find(|line| line.starts_with("rowcast_build_info{")).unwrap();
    assert!(build.contains("service=\"probe\"") && build.contains("revision="), "{build}");
    assert!(metrics.contains("process_open_fds"), "{metrics}");
    probe.signal();
    let (code, log) = probe.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stopping"), "{log}");
}

#[test]
fn the_admin_port_answers_unready_through_the_drain_and_a_second_signal_aborts_it() {
    let mut probe = Running::start(probe().env("ROWCAST_PROBE__MODE", "ignore_stop"));
    let admin = probe.addr("admin");
    probe.wait_for_message("condition holds");
    probe.signal();
    probe.wait_for_message("stopping; a second signal stops at once");
    let ready = get(admin, "/readyz");
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains(r#""stopping":"#), "{ready}");
    assert!(get(admin, "/livez").starts_with("HTTP/1.1 200"));
    let began = Instant::now();
    probe.signal();
    let (code, log) = probe.end();
    assert_eq!(code, Some(1), "{log}");
    assert!(began.elapsed() < Duration::from_secs(5), "the second signal took {:?}", began.elapsed());
}

#[test]
fn a_lost_background_task_exits_with_1_and_is_named() {
    let (code, log) = Running::start(probe().env("ROWCAST_PROBE__MODE", "lose_task")).end();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains(r#""task":"fragile""#), "{log}");
}

#[test]
fn a_job_that_is_done_exits_with_0() {
    let (code, log) = Running::start(probe().env("ROWCAST_PROBE__MODE", "job")).end();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn a_taken_port_exits_with_1_and_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let (code, log) = Running::start(probe().env("ROWCAST_HTTP__ADDR", &addr)).end();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains(&format!("the public port cannot listen on {addr}")), "{log}");
}

#[test]
fn faults_in_the_configuration_exit_with_2_and_are_all_listed() {
    for arguments in [&[][..], &["--check-config"][..]] {
        let (code, out, err) = output(
            probe()
                .args(arguments)
                .env("ROWCAST_HTTP__MAX_CONNECTIONS", "0")
                .env("ROWCAST_HTTP__MAX_CONECTIONS", "5")
                .env("ROWCAST_PROBE__MODE", "wild"),
        );
        assert_eq!(code, Some(2), "{out}{err}");
        assert!(err.contains("http.max_connections: must be at least 1\n"), "{err}");
        assert!(err.contains("(from ROWCAST_HTTP__MAX_CONECTIONS)\n"), "{err}");
        assert!(err.contains("probe.mode: "), "{err}");
    }
}

#[test]
fn a_valid_configuration_is_reported_as_valid() {
    let (code, out, err) = output(probe().arg("--check-config"));
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "configuration is valid\n", ""));
}

#[test]
fn the_version_is_printed() {
    let (code, out, _) = output(probe().arg("--version"));
    assert_eq!((code, out), (Some(0), format!("probe {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn the_log_never_shows_a_secret() {
    let (_, log) =
        Running::start(probe().env("ROWCAST_PROBE__MODE", "job").env("ROWCAST_PROBE__KEY", "hunter2")).end();
    assert!(log.contains("[REDACTED]"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn spans_are_exported_before_the_exit() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", collector.local_addr().unwrap());
    // whatever the log level
    let mut probe = probe();
    probe.env("ROWCAST_PROBE__MODE", "job").env("ROWCAST_LOG__LEVEL", "error");
    let probe = Running::start(probe.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint));
    let (accepted, caller) = mpsc::channel();
    thread::spawn(move || accepted.send(collector.accept()));
    let (mut stream, _) = caller.recv_timeout(LONG).expect("no call at the collector").unwrap();
    let mut preface = [0; 14];
    stream.read_exact(&mut preface).unwrap();
    assert_eq!(&preface, b"PRI * HTTP/2.0");
    // The collector sends nothing more: the process must end nevertheless.
    let (code, log) = probe.end();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn an_unreachable_collector_loses_only_the_spans() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, log) = Running::start(
        probe()
            .env("ROWCAST_PROBE__MODE", "job")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{closed}")),
    )
    .end();
    assert_eq!(code, Some(0), "{log}");
}
