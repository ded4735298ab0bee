//! A private nginx from the system's packages, before the services, as in many installations.

use std::{
    fmt::Write as _,
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{
    postgres::free_port,
    process::{Process, Program, find_program},
};

/// How long it may take to listen.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// In each location: one that sets a header of its own inherits none.
const FORWARDED: &str = "proxy_set_header Host $http_host;
                         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;";

/// A proxy with nginx's default limits and timeouts.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    addr: SocketAddr,
    _folder: TempDir,
}

impl Nginx {
    /// Whether the program is installed.
    pub fn is_installed() -> bool {
        server().is_some()
    }

    /// Starts one that sends what devices POST to `ingest`, and everything else to the gateways, round-robin.
    pub fn start(ingest: SocketAddr, gateways: &[SocketAddr]) -> Result<Self> {
        let server = server().context("nginx is not installed")?;
        let folder = TempDir::with_prefix("rowcast-nginx-")?;
        let addr = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let own = folder.path().display();
        let mut upstream = String::new();
        for gateway in gateways {
            writeln!(upstream, "server {gateway};")?;
        }
        let mut temporary = String::new();
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            writeln!(temporary, "{kind}_temp_path {own}/{kind};")?;
        }
        let config = format!(
            "daemon off; master_process off; pid {own}/pid; error_log {own}/error.log;
             events {{ worker_connections 4096; }}
             http {{
                 access_log off; {temporary}
                 map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
                 upstream gateways {{ {upstream} }}
                 server {{
                     listen {addr};
                     proxy_http_version 1.1;
                     location /api/sensors/ {{ proxy_pass http://{ingest}; {FORWARDED} }}
                     location / {{
                         proxy_pass http://gateways; {FORWARDED}
                         proxy_set_header Upgrade $http_upgrade;
                         proxy_set_header Connection $connection_upgrade;
                     }}
                 }}
             }}"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, config)?;
        let program = Program::new(server, folder.path().join("nginx.log"));
        let program =
            program.args(["-p".to_owned(), own.to_string(), "-c".to_owned(), file.display().to_string()]);
        let process = Process::start(program)?;
        let until = std::time::Instant::now() + READY_WITHIN;
        while TcpStream::connect(addr).is_err() {
            anyhow::ensure!(process.is_running() && std::time::Instant::now() < until, "{}", process.tail());
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { process, addr, _folder: folder })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

fn server() -> Option<std::path::PathBuf> {
    find_program("nginx", &["/usr/sbin"])
}
