//! A Prometheus that scrapes an installation and evaluates the alerts.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use testkit::{
    Process,
    postgres::free_port,
    prometheus::{Setting, Target},
};

use crate::{http, stack::Stack};

/// The labels `namespace` and `release` of everything that is scraped.
pub const INSTALLATION: &str = "e2e";

/// Between two scrapes, and between two evaluations of the rules.
const EVERY: &str = "500ms";

/// A running Prometheus.
#[derive(Debug)]
pub struct Monitor {
    addr: SocketAddr,
    // it ends before its folder is removed
    _process: Process,
    _folder: TempDir,
}

impl Monitor {
    /// Starts one with these rules; it scrapes the installation and what is beside it.
    pub fn start(stack: &Stack, beside: &[Target], rules: &str) -> Result<Self> {
        let folder = TempDir::with_prefix("rowcast-prometheus-")?;
        let file = folder.path().join("rules.yaml");
        std::fs::write(&file, rules)?;
        let addr = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let targets = [&targets(stack), beside].concat();
        let setting = Setting { installation: INSTALLATION, targets: &targets, rules: &file, every: EVERY };
        let process = Process::start(setting.program(folder.path(), addr)?)?;
        Ok(Self { addr, _process: process, _folder: folder })
    }

    /// The series that an expression has now.
    pub async fn query(&self, expression: &str) -> Result<Vec<Value>> {
        let body = format!("query={}", encoded(expression));
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let answer = http::send(self.addr, "POST", "/api/v1/query", &form, body.as_bytes()).await?;
        ensure!(answer.status == 200, "{expression}: {}", answer.body);
        let series = answer.json()["data"]["result"].as_array().cloned();
        series.with_context(|| format!("{expression}: {}", answer.body))
    }

    /// Every rule, with its last error.
    pub async fn rules(&self) -> Result<Vec<Value>> {
        let answer = http::get(self.addr, "/api/v1/rules").await?.json();
        let groups = answer["data"]["groups"].as_array().cloned().context("no rules")?;
        Ok(groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default()).collect())
    }

    /// The alerts that fire now, by their names.
    pub async fn firing(&self) -> Result<BTreeMap<String, Value>> {
        let answer = http::get(self.addr, "/api/v1/alerts").await?.json();
        let alerts = answer["data"]["alerts"].as_array().cloned().context("no alerts")?;
        let firing = alerts.into_iter().filter(|alert| alert["state"] == "firing");
        Ok(firing
            .map(|alert| (alert["labels"]["alertname"].as_str().unwrap_or_default().to_owned(), alert))
            .collect())
    }
}

/// The checkout's rules for a Prometheus without operator.
pub fn rules() -> Result<String> {
    let file = checkout().join("k8s/monitoring/rules.yaml");
    std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))
}

/// The checkout.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn targets(stack: &Stack) -> Vec<Target> {
    let target = |component: &str, number: usize, admin: SocketAddr| Target {
        component: component.to_owned(),
        pod: format!("{component}-{number}"),
        admin,
    };
    let gateways = stack.gateways.iter().enumerate().map(|(nth, one)| target("ws-gateway", nth, one.admin));
    let listeners =
        stack.listeners.iter().enumerate().map(|(nth, one)| target("notify-listener", nth, one.admin));
    std::iter::once(target("ingest", 0, stack.ingest.admin)).chain(gateways).chain(listeners).collect()
}

/// As a value of a form.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}
