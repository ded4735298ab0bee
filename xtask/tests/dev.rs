//! `cargo xtask dev` from an empty start, at ports of its own.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
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

/// Five ports in a row that are free.
fn five_ports() -> u16 {
    loop {
        let ports: [u16; 5] = std::array::from_fn(|_| free_port().unwrap());
        if ports.windows(2).all(|pair| pair[1] == pair[0] + 1) {
            return ports[0];
        }
    }
}

#[test]
fn dev_receives_its_sensors_readings_and_stops_on_sigint() {
    let first = five_ports();
    let mut dev = Command::new(env!("CARGO_BIN_EXE_xtask"));
    dev.args(["dev", "--ephemeral", "--no-page"]);
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
    // it stops in order although nobody reads its output
    drop(lines);
    kill(Pid::from_raw(dev.0.id().cast_signed()), Signal::SIGINT).unwrap();
    assert!(dev.0.wait().unwrap().success());
}
