//! A private Jaeger that keeps traces in memory: takes them by OTLP, and shows them by its API.

use std::{
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::{
    postgres::free_port,
    process::{Process, Program},
};

/// How long it may take to listen.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// The variable that names the program.
pub const PROGRAM: &str = "ROWCAST_JAEGER";

/// A Jaeger.
#[derive(Debug)]
pub struct Jaeger {
    process: Process,
    host: &'static str,
    otlp: [u16; 2],
    query: u16,
    _folder: TempDir,
}

impl Jaeger {
    /// Starts the program that `ROWCAST_JAEGER` names; `cargo xtask test` builds it.
    pub fn start() -> Result<Self> {
        Self::start_with("", "http://127.0.0.1")
    }

    /// The same, taking spans by TLS alone, with this certificate of `localhost` and its key.
    pub fn start_with_tls(certificate: &Path, key: &Path) -> Result<Self> {
        let (certificate, key) = (certificate.display(), key.display());
        let tls = format!(", tls: {{cert_file: '{certificate}', key_file: '{key}'}}");
        Self::start_with(&tls, "https://localhost")
    }

    fn start_with(tls: &str, host: &'static str) -> Result<Self> {
        let program = std::env::var_os(PROGRAM).map(PathBuf::from);
        let program = program.with_context(|| format!("{PROGRAM} is not set: run `cargo xtask test`"))?;
        let folder = TempDir::with_prefix("rowcast-jaeger-")?;
        let [grpc, http, query, query_grpc] = [free_port()?, free_port()?, free_port()?, free_port()?];
        let config = format!(
            "service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines:
    traces: {{receivers: [otlp], exporters: [jaeger_storage_exporter]}}
  telemetry: {{metrics: {{level: none}}}}
extensions:
  jaeger_query:
    storage: {{traces: memory}}
    http: {{endpoint: '127.0.0.1:{query}'}}
    grpc: {{endpoint: '127.0.0.1:{query_grpc}'}}
  jaeger_storage: {{backends: {{memory: {{memory: {{max_traces: 10000}}}}}}}}
receivers:
  otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{grpc}'{tls}}}, http: {{endpoint: '127.0.0.1:{http}'{tls}}}}}}}
exporters:
  jaeger_storage_exporter: {{trace_storage: memory}}
"
        );
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, config)?;
        let program = Program::new(program, folder.path().join("jaeger.log"));
        let program = program.args(["--config".to_owned(), file.display().to_string()]);
        let process = Process::start(program)?;
        let until = Instant::now() + READY_WITHIN;
        for port in [grpc, http, query] {
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                ensure!(process.is_running() && Instant::now() < until, "{}", process.tail());
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(Self { process, host, otlp: [grpc, http], query, _folder: folder })
    }

    /// Where it takes spans by OTLP over gRPC.
    pub fn otlp_grpc(&self) -> String {
        format!("{}:{}", self.host, self.otlp[0])
    }

    /// Where it takes spans by OTLP over HTTP.
    pub fn otlp_http(&self) -> String {
        format!("{}:{}", self.host, self.otlp[1])
    }

    /// Where its API is.
    pub fn api(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.query))
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }
}
