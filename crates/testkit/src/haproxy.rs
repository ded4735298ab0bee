//! A private haproxy from the system's packages, before a service, which passes connections on as they are.

use std::{
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::{
    postgres::free_port,
    process::{Process, Program, find_program},
};

/// How long it may take to listen.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// A balancer of TCP that tells its clients by the PROXY protocol, and checks the service's health by its LOCAL command.
#[derive(Debug)]
pub struct HaProxy {
    addr: SocketAddr,
    _process: Process,
    _folder: TempDir,
}

impl HaProxy {
    /// Whether the program is installed.
    pub fn is_installed() -> bool {
        server().is_some()
    }

    /// Starts one before this service.
    pub fn start(service: SocketAddr) -> Result<Self> {
        let server = server().context("haproxy is not installed")?;
        let folder = TempDir::with_prefix("rowcast-haproxy-")?;
        let addr = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let config = format!(
            "global
                 maxconn 1000
             defaults
                 mode tcp
                 timeout connect 5s
                 timeout client 60s
                 timeout server 60s
                 option httpchk
                 http-check send meth GET uri /openapi.json ver HTTP/1.1 hdr Host rowcast
             listen service
                 bind {addr}
                 server service {service} send-proxy-v2 check check-send-proxy inter 200ms\n"
        );
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, config)?;
        let program = Program::new(server, folder.path().join("haproxy.log"));
        let process =
            Process::start(program.args(["-db".to_owned(), "-f".to_owned(), file.display().to_string()]))?;
        let until = Instant::now() + READY_WITHIN;
        while TcpStream::connect(addr).is_err() {
            ensure!(process.is_running() && Instant::now() < until, "{}", process.tail());
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { addr, _process: process, _folder: folder })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

fn server() -> Option<std::path::PathBuf> {
    find_program("haproxy", &["/usr/sbin"])
}
