//! `cargo xtask dev` from an empty start, at ports of its own.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use testkit::postgres::free_port;

/// Ends it if the test ends early; what it started ends with it.
struct Dev(Child);

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

/// Six ports in a row that are free.
fn six_ports() -> u16 {
    loop {
        let ports: [u16; 6] = std::array::from_fn(|_| free_port().unwrap());
        if ports.windows(2).all(|pair| pair[1] == pair[0] + 1) {
            return ports[0];
        }
    }
}

/// The answer of the Prometheus at a port, or nothing while it does not listen.
fn ask(port: u16, path: &str) -> String {
    let mut answer = String::new();
    if let Ok(mut socket) = TcpStream::connect(("127.0.0.1", port)) {
        write!(socket, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let _ = socket.read_to_string(&mut answer);
    }
    answer
}

/// The page to which a path leads by two redirections at most.
fn page(port: u16, path: &str) -> String {
    let mut answer = ask(port, path);
    for _ in 0..2 {
        let location = answer.lines().find_map(|line| line.strip_prefix("Location: ")).map(str::to_owned);
        let Some(location) = location else { break };
        answer = ask(port, &location);
    }
    answer
}

#[track_caller]
fn wait_for(port: u16, path: &str, met: impl Fn(&str) -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = ask(port, path);
        if met(&answer) {
            return;
        }
        assert!(Instant::now() < until, "{path}: {answer}");
        sleep(Duration::from_millis(100));
    }
}

#[test]
fn dev_receives_its_sensors_readings_and_stops_on_sigint() {
    let first = six_ports();
    let prometheus = first + 5;
    let mut dev = Command::new(env!("CARGO_BIN_EXE_xtask"));
    dev.args(["dev", "--ephemeral", "--no-page", "--monitoring"]);
    dev.args(["--prometheus-port", &prometheus.to_string()]);
    for (flag, port) in [("--gateway-port", first), ("--ingest-port", first + 1), ("--admin-port", first + 2)]
    {
        dev.args([flag, &port.to_string()]);
    }
    dev.env_remove("DATABASE_URL").env_remove("REDIS_URL").stdout(Stdio::piped());
    let mut dev = Dev(dev.spawn().unwrap());
    let mut lines = BufReader::new(dev.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut printed: Vec<String> = Vec::new();
    while !printed.last().is_some_and(|line| line.contains("event")) {
        printed.push(lines.next().unwrap_or_else(|| panic!("it ended: {printed:#?}")));
    }
    assert!(printed.last().unwrap().starts_with("first event after "), "{printed:#?}");
    wait_for(prometheus, "/api/v1/targets", |targets| targets.matches("\"health\":\"up\"").count() == 3);
    assert!(ask(prometheus, "/api/v1/rules").contains("RowcastNoLeader"));
    let alerts = format!("alerts   http://127.0.0.1:{prometheus}");
    let path = printed.iter().find_map(|line| line.strip_prefix(&alerts)?.split(' ').next()).unwrap();
    assert!(page(prometheus, path).starts_with("HTTP/1.0 200"), "{printed:#?}");
    // it stops in order although nobody reads its output
    drop(lines);
    kill(Pid::from_raw(dev.0.id().cast_signed()), Signal::SIGINT).unwrap();
    assert!(dev.0.wait().unwrap().success());
    assert_eq!(ask(prometheus, "/-/ready"), "", "it ends with the services");
}
