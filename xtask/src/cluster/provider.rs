//! The cluster: an existing one, or one that a program starts.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::{command, terminal::print};

/// The port at which a started cluster has its ingress, on every node.
const INGRESS_PORT: u16 = 30080;

/// How the tests reach a cluster. `KUBECONFIG` names it; these are the commands for what its API cannot do.
#[derive(Debug, Clone, Args)]
pub(crate) struct Provider {
    /// A program that manages a cluster (`up`, which prints what to export, `load FILE`,
    /// `cut NODE`, `heal NODE`, `pause kube-apiserver`, `resume kube-apiserver`, `tilt`, `down`)
    #[arg(long, env = "ROWCAST_CLUSTER_TOOL", value_name = "PROGRAM")]
    tool: Option<PathBuf>,
    /// Command that loads an image into the cluster; the archive's name is appended
    #[arg(long, env = "ROWCAST_CLUSTER_LOAD", value_name = "COMMAND")]
    load: Option<String>,
    /// Command that disconnects a node from the network; its name is appended
    #[arg(long, env = "ROWCAST_CLUSTER_CUT", value_name = "COMMAND")]
    cut: Option<String>,
    /// Command that connects it again; its name is appended
    #[arg(long, env = "ROWCAST_CLUSTER_HEAL", value_name = "COMMAND")]
    heal: Option<String>,
    /// Command that pauses the API server
    #[arg(long, env = "ROWCAST_CLUSTER_PAUSE_API", value_name = "COMMAND")]
    pause_api: Option<String>,
    /// Command that resumes the API server
    #[arg(long, env = "ROWCAST_CLUSTER_RESUME_API", value_name = "COMMAND")]
    resume_api: Option<String>,
    /// The node that is never disconnected, with the ingress controller and the cluster's DNS
    #[arg(long, env = "ROWCAST_CLUSTER_HOME", value_name = "NODE")]
    home: Option<String>,
    /// The image of Postgres
    #[arg(long, env = "ROWCAST_CLUSTER_POSTGRES", value_name = "IMAGE")]
    postgres: Option<String>,
    /// The image of Redis
    #[arg(long, env = "ROWCAST_CLUSTER_REDIS", value_name = "IMAGE")]
    redis: Option<String>,
    /// Address of the ingress controller from this machine
    #[arg(long, env = "ROWCAST_CLUSTER_INGRESS", value_name = "HOST:PORT")]
    ingress: Option<String>,
}

/// A running cluster.
pub(crate) struct Cluster {
    environment: BTreeMap<String, String>,
    tool: Option<PathBuf>,
}

impl Provider {
    /// Builds the cluster's programs if a program is given.
    pub(crate) fn build(&self) -> Result<()> {
        let Some(tool) = &self.tool else { return Ok(()) };
        // tilt is used by a test, and is installed beside the cluster's programs
        for verb in ["build", "tilt"] {
            command::run(Command::new(absolute(tool)?).arg(verb))?;
        }
        Ok(())
    }

    /// Starts the cluster if a program is given, and finds what the tests need.
    pub(crate) fn start(&self) -> Result<Cluster> {
        let mut cluster = Cluster { environment: BTreeMap::new(), tool: self.tool.clone() };
        if let Some(tool) = &self.tool {
            print("starting the cluster");
            self.build()?;
            cluster.start(&absolute(tool)?)?;
        }
        let given = [
            ("ROWCAST_CLUSTER_LOAD", &self.load),
            ("ROWCAST_CLUSTER_CUT", &self.cut),
            ("ROWCAST_CLUSTER_HEAL", &self.heal),
            ("ROWCAST_CLUSTER_PAUSE_API", &self.pause_api),
            ("ROWCAST_CLUSTER_RESUME_API", &self.resume_api),
            ("ROWCAST_CLUSTER_HOME", &self.home),
            ("ROWCAST_CLUSTER_POSTGRES", &self.postgres),
            ("ROWCAST_CLUSTER_REDIS", &self.redis),
            ("ROWCAST_CLUSTER_INGRESS", &self.ingress),
        ];
        for (name, value) in given {
            match value {
                Some(value) => drop(cluster.environment.insert(name.to_owned(), value.clone())),
                None if cluster.environment.contains_key(name) => {}
                None => bail!("{name} is not set; docs/OPERATIONS.md shows what to set for kind"),
            }
        }
        let home = cluster.environment["ROWCAST_CLUSTER_HOME"].clone();
        let nodes = cluster.kubectl(&["get", "nodes", "-o", "jsonpath={.items[*].metadata.name}"])?;
        let away = nodes.split(' ').find(|node| *node != home).context("a second node")?;
        cluster.environment.insert("ROWCAST_CLUSTER_AWAY".to_owned(), away.to_owned());
        Ok(cluster)
    }
}

impl Cluster {
    /// The environment of the tests.
    pub(crate) fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// Sets one more variable of the tests.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// Loads an image into it.
    pub(crate) fn load(&self, archive: &Path) -> Result<()> {
        let load = format!("{} '{}'", self.environment["ROWCAST_CLUSTER_LOAD"], archive.display());
        command::run(Command::new("sh").arg("-c").arg(load).envs(&self.environment))
    }

    /// Ends it, if it was started here.
    pub(crate) fn stop(&self) -> Result<()> {
        match &self.tool {
            Some(tool) => command::run(Command::new(tool).arg("down")),
            None => Ok(()),
        }
    }

    fn start(&mut self, tool: &Path) -> Result<()> {
        let up = Command::new(tool).arg("up").stderr(std::process::Stdio::inherit()).output()?;
        ensure!(up.status.success(), "the cluster did not start");
        for line in String::from_utf8_lossy(&up.stdout).lines() {
            let Some((name, value)) = line.strip_prefix("export ").and_then(|line| line.split_once('='))
            else {
                continue;
            };
            let path = std::env::var("PATH").unwrap_or_default();
            self.environment.insert(name.to_owned(), value.replace("$PATH", &path));
        }
        let tool = tool.display();
        for (name, command) in [
            ("LOAD", format!("{tool} load")),
            ("CUT", format!("{tool} cut")),
            ("HEAL", format!("{tool} heal")),
            ("PAUSE_API", format!("{tool} pause kube-apiserver")),
            ("RESUME_API", format!("{tool} resume kube-apiserver")),
            ("POSTGRES", "localhost/postgres:15".to_owned()),
            ("REDIS", "localhost/redis:7".to_owned()),
        ] {
            self.environment.insert(format!("ROWCAST_CLUSTER_{name}"), command);
        }
        self.settle()
    }

    /// Moves the cluster's own pods to one node, the home.
    fn settle(&mut self) -> Result<()> {
        let nodes = self.kubectl(&["get", "nodes", "-o", "jsonpath={range .items[*]}{.metadata.name} {.status.addresses[?(@.type=='InternalIP')].address}{'\\n'}{end}"])?;
        let mut nodes = nodes.lines().filter_map(|line| line.split_once(' '));
        let (home, address) = nodes.next().context("a node")?;
        let (away, _) = nodes.next().context("a second node")?;
        self.environment.insert("ROWCAST_CLUSTER_HOME".to_owned(), home.to_owned());
        self.environment.insert("ROWCAST_CLUSTER_INGRESS".to_owned(), format!("{address}:{INGRESS_PORT}"));
        let pods = format!("--field-selector=spec.nodeName={away}");
        self.kubectl(&["cordon", away])?;
        self.kubectl(&["--namespace=kube-system", "delete", "pods", &pods])?;
        self.kubectl(&[
            "--namespace=kube-system",
            "wait",
            "--for=condition=Available",
            "deployments",
            "--all",
            "--timeout=120s",
        ])?;
        self.kubectl(&["uncordon", away])?;
        Ok(())
    }

    /// What kubectl prints.
    pub(crate) fn kubectl(&self, args: &[&str]) -> Result<String> {
        let mut kubectl = Command::new("kubectl");
        kubectl.args(args).envs(&self.environment);
        let output = kubectl.output().context("running kubectl")?;
        ensure!(
            output.status.success(),
            "kubectl {}: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

fn absolute(tool: &Path) -> Result<PathBuf> {
    tool.canonicalize().with_context(|| format!("finding {}", tool.display()))
}
