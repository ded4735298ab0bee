//! `cargo xtask tidy`: what neither the compiler nor clippy checks.

mod dockerfile;
mod edges;
mod fences;
mod generated;
mod sources;

use std::fmt;

use anyhow::{Context, Result, bail};
use cargo_metadata::MetadataCommand;

use crate::{say::say, workspace::Workspace};

/// Something that is not as it must be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    what: String,
}

impl Finding {
    fn new(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self { path: path.into(), what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let manifest = workspace.root().join("Cargo.toml");
    let metadata =
        MetadataCommand::new().manifest_path(manifest).no_deps().exec().context("cargo metadata")?;
    let mut findings = Vec::new();
    for package in &metadata.packages {
        findings.extend(edges::check(package, &metadata.packages));
        findings.extend(fences::check(package));
    }
    findings.extend(sources::check(workspace.root())?);
    findings.extend(generated::check(workspace.root()));
    findings.extend(dockerfile::check(workspace.root()));
    for finding in &findings {
        say(&finding.to_string());
    }
    if !findings.is_empty() {
        bail!("{} findings", findings.len());
    }
    Ok(())
}

/// Where a package is declared, from the workspace's root.
fn manifest(package: &cargo_metadata::Package) -> String {
    let path = &package.manifest_path;
    let components: Vec<&str> = path.components().rev().take(3).map(|part| part.as_str()).collect();
    match components[..] {
        [file, package, group @ ("crates" | "services")] => format!("{group}/{package}/{file}"),
        [file, package, ..] => format!("{package}/{file}"),
        _ => path.to_string(),
    }
}
