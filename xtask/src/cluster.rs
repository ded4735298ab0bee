//! `cargo xtask cluster-test`: the chart on a real cluster, with faults.

mod operator;
mod provider;

use std::{path::PathBuf, process::Command};

use anyhow::Result;
use clap::Args;

use self::provider::{Cluster, Provider};
use crate::{
    command::{self, cargo},
    image, page,
    setup::{self, Needs, Tools},
    terminal::print,
    workspace::Workspace,
};

/// The image's name; nothing is pulled.
const IMAGE: &str = "localhost/rowcast";

/// The tags of the image: an upgrade goes from one to the other.
const TAGS: [&str; 2] = ["previous", "next"];

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Let faults last as long as in production
    #[arg(long)]
    full: bool,
    /// Only build the programs of the image and of the cluster
    #[arg(long, conflicts_with = "docker")]
    prepare: bool,
    /// Keep the cluster at the end
    #[arg(long)]
    keep: bool,
    /// Build the image by services/Dockerfile
    #[arg(long)]
    docker: bool,
    #[command(flatten)]
    provider: Provider,
    /// Only these parts: chart, elections, or scenarios by name, on the installed release
    parts: Vec<String>,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if options.prepare {
        image::build_programs(workspace)?;
        return options.provider.build();
    }
    let needs = Needs { page: true, browser: true, ..Needs::NOTHING };
    let tools = setup::set_up(workspace, needs)?;
    if let Some(node) = &tools.node {
        page::install(workspace, node)?;
    }
    let archives = image::archives(workspace, IMAGE, &TAGS, options.docker)?;
    let mut cluster = options.provider.start()?;
    operator::define(&mut cluster)?;
    if options.docker {
        cluster.set("ROWCAST_CLUSTER_IMAGE_OPTIONS", "--docker");
    }
    let tested = test(workspace, options, &tools, &cluster, &archives);
    if options.keep {
        print("the cluster is kept");
        return tested;
    }
    tested.and(cluster.stop())
}

fn test(
    workspace: &Workspace,
    options: &Options,
    tools: &Tools,
    cluster: &Cluster,
    archives: &[PathBuf],
) -> Result<()> {
    for archive in archives {
        cluster.load(archive)?;
    }
    let mut scenarios = options.parts.clone();
    let mut wanted = |part: &str| {
        let named = scenarios.iter().any(|own| own == part);
        scenarios.retain(|own| own != part);
        named || options.parts.is_empty()
    };
    for (part, package, test) in [("chart", "e2e", "chart"), ("elections", "lease", "api_server")] {
        if wanted(part) {
            print(part);
            let mut command = cargo(workspace);
            command.args(["test", "--quiet", "--package", package, "--test", test, "--", "--nocapture"]);
            command::run(with_environment(&mut command, workspace, tools, cluster))?;
        }
    }
    if options.parts.is_empty() || !scenarios.is_empty() {
        let mut command = cargo(workspace);
        command.args(["test", "--quiet", "--package", "e2e", "--test", "cluster", "--"]).args(scenarios);
        if options.full {
            command.arg("--full");
        }
        command::run(with_environment(&mut command, workspace, tools, cluster))?;
    }
    Ok(())
}

/// Sets the environment of the tests.
fn with_environment<'a>(
    command: &'a mut Command,
    workspace: &Workspace,
    tools: &Tools,
    cluster: &Cluster,
) -> &'a mut Command {
    command.envs(cluster.environment());
    command.env("ROWCAST_CLUSTER_IMAGE", IMAGE);
    command.env("ROWCAST_PAGE_DIR", workspace.page());
    if let Some(node) = &tools.node {
        command.env("ROWCAST_NODE", node.program());
    }
    if let Some(browser) = &tools.browser {
        command.env("ROWCAST_CHROMIUM", browser);
    }
    command
}
