//! A private Prometheus from the system's packages, which scrapes processes as if they were pods.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::process::{Program, find_program};

/// Whether the program is installed.
pub fn is_installed() -> bool {
    server().is_some()
}

/// The tool that checks rules and metrics, beside it.
pub fn promtool() -> Option<PathBuf> {
    find_program("promtool", &["/usr/bin"])
}

/// A process that is scraped, with the labels of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The label `component`.
    pub component: String,
    /// The label `pod`.
    pub pod: String,
    /// Where it serves its metrics.
    pub admin: SocketAddr,
}

/// What to scrape, how often, and by which rules.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// The labels `namespace` and `release` of all targets.
    pub installation: &'a str,
    /// The processes.
    pub targets: &'a [Target],
    /// The file with the rules.
    pub rules: &'a Path,
    /// Between two scrapes, and between two evaluations: `5s`.
    pub every: &'a str,
}

impl Setting<'_> {
    /// The program, which keeps its configuration, its data and its log in a folder.
    ///
    /// # Errors
    /// If it is not installed, or the configuration cannot be written.
    pub fn program(&self, folder: &Path, listen: SocketAddr) -> Result<Program> {
        let config = folder.join("prometheus.yml");
        // JSON is YAML
        fs::write(&config, self.config().to_string())
            .with_context(|| format!("writing {}", config.display()))?;
        let server = server().context("prometheus is not installed")?;
        Ok(Program::new(server, folder.join("prometheus.log")).args([
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", folder.join("prometheus").display()),
            "--storage.tsdb.retention.time=1d".to_owned(),
            format!("--web.listen-address={listen}"),
        ]))
    }

    fn config(&self) -> Value {
        let target = |target: &Target| {
            let labels = json!({
                "namespace": self.installation,
                "release": self.installation,
                "component": target.component,
                "pod": target.pod,
            });
            json!({"targets": [target.admin.to_string()], "labels": labels})
        };
        let targets: Vec<Value> = self.targets.iter().map(target).collect();
        json!({
            "global": {"scrape_interval": self.every, "scrape_timeout": self.every, "evaluation_interval": self.every},
            "rule_files": [self.rules],
            "scrape_configs": [{"job_name": "rowcast", "static_configs": targets}],
        })
    }
}

fn server() -> Option<PathBuf> {
    find_program("prometheus", &["/usr/bin"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_the_labels_of_a_pod() {
        let admin = SocketAddr::from(([127, 0, 0, 1], 9081));
        let target = Target { component: "ws-gateway".to_owned(), pod: "ws-gateway-2".to_owned(), admin };
        let rules = Path::new("/rules.yaml");
        let setting = Setting { installation: "dev", targets: &[target], rules, every: "5s" };
        let labels =
            json!({"namespace": "dev", "release": "dev", "component": "ws-gateway", "pod": "ws-gateway-2"});
        let config = setting.config();
        assert_eq!(
            config["scrape_configs"][0]["static_configs"],
            json!([{"targets": ["127.0.0.1:9081"], "labels": labels}])
        );
        assert_eq!(config["rule_files"], json!(["/rules.yaml"]));
    }
}
