//! `cargo xtask tidy`: what neither the compiler nor clippy checks.

mod contents;
mod dockerfile;
mod edges;
mod finding;
mod generated;
mod graph;
mod heavy;
mod imports;
mod layout;
mod measures;
mod modules;
mod monitoring;
mod pages;
mod report;
mod sources;

use anyhow::{Context, Result, bail};
use cargo_metadata::MetadataCommand;
use clap::Args;

use crate::{terminal::print, workspace::Workspace};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Print figures of the layout and of sizes instead of checking
    #[arg(long)]
    report: bool,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let root = workspace.root();
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cargo metadata")?;
    if options.report {
        return report::print_all(root, &metadata.packages);
    }
    let mut findings = Vec::new();
    for package in &metadata.packages {
        findings.extend(edges::check(package, &metadata.packages));
        findings.extend(heavy::check(package));
        findings.extend(layout::check(root, package)?);
    }
    let files = sources::files(root)?;
    findings.extend(sources::check(root, &files)?);
    findings.extend(pages::check(root, &files)?);
    findings.extend(monitoring::check(root)?);
    findings.extend(generated::check(root));
    findings.extend(dockerfile::check(root));
    for finding in &findings {
        print(&finding.to_string());
    }
    if !findings.is_empty() {
        bail!("{} findings", findings.len());
    }
    Ok(())
}
