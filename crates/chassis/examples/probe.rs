//! The smallest service: the process tests start it, signal it and read its exit code.

use std::process::ExitCode;

use axum::Router;
use axum::routing::get;
use chassis::{Faults, HttpConfig, Service, Settings};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {
    http: HttpConfig,
    probe: Probe,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Probe {
    mode: Mode,
    #[schemars(with = "String")]
    key: SecretString,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// Serves until it is stopped.
    Serve,
    /// Ends at once, as a job.
    Job,
    /// Loses a background task.
    LoseTask,
    /// Ignores the soft stop.
    IgnoreStop,
}

impl Default for Probe {
    fn default() -> Self {
        Self { mode: Mode::Serve, key: "unset".into() }
    }
}

impl Settings for Config {
    fn validate(&self, faults: &mut Faults) {
        if self.http.max_connections == 0 {
            faults.add("http.max_connections", "must be at least 1");
        }
    }
}

fn main() -> ExitCode {
    chassis::main::<Config, _, _>("probe", env!("CARGO_PKG_VERSION"), run)
}

async fn run(config: Config, service: Service) -> anyhow::Result<()> {
    let (life, serving) = (service.life.clone(), service.readiness.condition("serving"));
    let listener = chassis::bind(config.http.addr).await?;
    let router = Router::new().route("/", get(|| async { "hello" })).route("/panic", get(fail));
    chassis::serve(&service, listener, &config.http, router)?;
    tracing::info_span!("boot").in_scope(|| tracing::info!(config = ?config.probe, "serving"));
    serving.hold();
    match config.probe.mode {
        Mode::Serve => life.stopping().await,
        Mode::Job => {}
        Mode::LoseTask => {
            life.spawn("fragile", async {});
            life.stopping().await;
        }
        Mode::IgnoreStop => std::future::pending().await,
    }
    Ok(())
}

async fn fail() {
    panic!("a fault of ours")
}
