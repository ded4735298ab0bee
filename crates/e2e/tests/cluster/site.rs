//! The cluster that the tests run on: the one of `KUBECONFIG`, and the commands for what its API cannot do.

use std::{net::SocketAddr, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use testkit::Proxy;
use tokio::{process::Command, time::timeout};

/// No command takes longer.
const COMMAND_WITHIN: Duration = Duration::from_secs(300);

/// What the API of a cluster cannot do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hook {
    /// Disconnect a node.
    Cut,
    /// Connect it again.
    Heal,
    /// Pause the API server.
    PauseApi,
    /// Resume it.
    ResumeApi,
}

/// The cluster.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// The node that stays, with the databases and the ingress.
    pub(crate) home: String,
    /// The other node.
    pub(crate) away: String,
    /// The ingress controller.
    pub(crate) ingress: SocketAddr,
    /// The image of the release, without its tag.
    pub(crate) image: String,
    /// The images of the databases.
    pub(crate) postgres: String,
    pub(crate) redis: String,
    pub(crate) namespace: String,
    /// Whether the cluster knows the resources of the Prometheus operator.
    pub(crate) operator: bool,
}

impl Site {
    /// From the variables that `cargo xtask cluster-test` sets.
    pub(crate) fn from_env() -> Result<Self> {
        Ok(Self {
            home: variable("ROWCAST_CLUSTER_HOME")?,
            away: variable("ROWCAST_CLUSTER_AWAY")?,
            ingress: variable("ROWCAST_CLUSTER_INGRESS")?.parse().context("ROWCAST_CLUSTER_INGRESS")?,
            image: variable("ROWCAST_CLUSTER_IMAGE")?,
            postgres: variable("ROWCAST_CLUSTER_POSTGRES")?,
            redis: variable("ROWCAST_CLUSTER_REDIS")?,
            namespace: "rowcast-test".to_owned(),
            operator: std::env::var_os("ROWCAST_CLUSTER_OPERATOR").is_some(),
        })
    }

    /// A proxy to the ingress at `http://localhost:PORT`, for clients that take only a URL, and the URL.
    pub(crate) async fn ingress_proxy(&self) -> Result<(Proxy, String)> {
        let proxy = Proxy::start(self.ingress).await?;
        let url = format!("http://localhost:{}", proxy.addr().port());
        Ok((proxy, url))
    }

    /// What kubectl prints, in the tests' namespace.
    pub(crate) async fn kubectl(&self, args: &[&str]) -> Result<String> {
        run(Command::new("kubectl")
            .args(["--namespace", &self.namespace, "--request-timeout=60s"])
            .args(args))
        .await
    }

    /// What kubectl prints as JSON.
    pub(crate) async fn get(&self, args: &[&str]) -> Result<Value> {
        let text = self.kubectl(&[&["get", "-o", "json"], args].concat()).await?;
        serde_json::from_str(&text).context("the output of kubectl is not JSON")
    }

    /// Applies a manifest.
    pub(crate) async fn apply(&self, manifest: &Value) -> Result<()> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), manifest.to_string())?;
        self.kubectl(&["apply", "-f", &file.path().display().to_string()]).await?;
        Ok(())
    }

    /// What helm prints, in the tests' namespace.
    pub(crate) async fn helm(&self, args: &[&str]) -> Result<String> {
        run(Command::new("helm").args(args).args(["--namespace", &self.namespace])).await
    }

    /// Runs a hook.
    pub(crate) async fn hook(&self, hook: Hook) -> Result<()> {
        let (name, node) = match hook {
            Hook::Cut => ("ROWCAST_CLUSTER_CUT", self.away.as_str()),
            Hook::Heal => ("ROWCAST_CLUSTER_HEAL", self.away.as_str()),
            Hook::PauseApi => ("ROWCAST_CLUSTER_PAUSE_API", ""),
            Hook::ResumeApi => ("ROWCAST_CLUSTER_RESUME_API", ""),
        };
        run(Command::new("sh").arg("-c").arg(format!("{} {node}", variable(name)?))).await?;
        Ok(())
    }
}

/// A variable that must be set.
pub(crate) fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set: run `cargo xtask cluster-test`"))
}

/// The checkout.
pub(crate) fn checkout() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs a command to its end and returns its output; an error has the output and stderr.
pub(crate) async fn run(command: &mut Command) -> Result<String> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let what = format!("{:?}", command.as_std());
    let output = timeout(COMMAND_WITHIN, command.output())
        .await
        .with_context(|| format!("{what}: timed out after {COMMAND_WITHIN:?}"))?
        .with_context(|| format!("cannot run {what}"))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() {
        bail!("{what}: {}\n{text}\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(text)
}
