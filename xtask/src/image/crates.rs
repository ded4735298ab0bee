//! The crates that are compiled into the programs.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId, TargetKind};

use super::{programs::SHIPPED, sbom::Component};
use crate::{command::answer, workspace::Workspace};

/// All that one of the programs links.
pub(super) fn shipped(workspace: &Workspace) -> Result<Vec<Component>> {
    let rustc = answer(Path::new("rustc"), &["-vV"]).context("rustc does not run")?;
    let target =
        rustc.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no target")?;
    let metadata = MetadataCommand::new()
        .manifest_path(workspace.root().join("Cargo.toml"))
        .other_options(["--locked", "--filter-platform", target].map(String::from))
        .exec()
        .context("cargo metadata")?;
    Ok(linked(&metadata)?.into_iter().map(component).collect())
}

/// The packages that the programs' own lead to, through dependencies that are neither for the build nor for tests,
/// nor macros, of which nothing is left in a program.
fn linked(metadata: &Metadata) -> Result<Vec<&Package>> {
    let resolved = metadata.resolve.as_ref().context("cargo resolved nothing")?;
    let mut waiting: Vec<&PackageId> = metadata
        .workspace_packages()
        .into_iter()
        .filter(|package| package.targets.iter().any(|target| target.is_bin() && is_shipped(&target.name)))
        .map(|package| &package.id)
        .collect();
    let mut reached = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if is_macro(&metadata[id]) || !reached.insert(id) {
            continue;
        }
        let node = resolved.nodes.iter().find(|node| node.id == *id).context("a package without a node")?;
        let linked = node
            .deps
            .iter()
            .filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal));
        waiting.extend(linked.map(|dep| &dep.pkg));
    }
    Ok(reached.into_iter().map(|id| &metadata[id]).collect())
}

fn is_shipped(name: &str) -> bool {
    SHIPPED.contains(&name)
}

fn is_macro(package: &Package) -> bool {
    package.targets.iter().any(|target| target.kind.contains(&TargetKind::ProcMacro))
}

fn component(package: &Package) -> Component {
    let program = package.targets.iter().any(|target| target.is_bin() && is_shipped(&target.name));
    let (name, version) = (package.name.to_string(), package.version.to_string());
    if package.source.is_some() {
        Component::cargo(&name, &version, package.license.as_deref())
    } else {
        Component::own(&name, &version, program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_link_is_listed_and_what_tests_and_builds_use_is_not() {
        let found = shipped(&Workspace::here()).unwrap();
        let has = |name: &str| found.iter().any(|component| component.name == name);
        for linked in ["ingest", "store", "sqlx", "tokio", "mimalloc", "aws-lc-sys"] {
            assert!(has(linked), "{linked}");
        }
        for other in ["testkit", "xtask", "criterion", "cc", "serde_derive", "syn"] {
            assert!(!has(other), "{other}");
        }
    }
}
