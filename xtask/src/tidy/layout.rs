//! Files of a crate import from each other in one direction, and none of them through the crate's root.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use cargo_metadata::{Package, Target};

use super::{finding::Finding, graph, imports::Imports, modules::Modules};

/// The imports of each library, program and test of a package, by the target's root.
pub(super) fn of(root: &Path, package: &Package) -> Result<Vec<(PathBuf, Imports)>> {
    let read = |file: &Path| fs::read_to_string(root.join(file)).ok();
    let targets = package.targets.iter().filter(|target| is_ours(target));
    targets
        .map(|target| {
            let file = target.src_path.as_std_path();
            let file = file.strip_prefix(root).unwrap_or(file).to_owned();
            let modules = Modules::read(&file, &read).with_context(|| format!("target {}", target.name))?;
            Ok((file, Imports::of(&modules)))
        })
        .collect()
}

fn is_ours(target: &Target) -> bool {
    target.is_lib() || target.is_bin() || target.is_test()
}

/// The cycles of files, and the imports through the root.
pub(super) fn check(root: &Path, package: &Package) -> Result<Vec<Finding>> {
    Ok(of(root, package)?.iter().flat_map(|(target, imports)| findings(target, imports)).collect())
}

pub(super) fn findings(target: &Path, imports: &Imports) -> Vec<Finding> {
    let mut findings = Vec::new();
    for cycle in graph::cycles(&imports.graph()) {
        let inside = |file: &Path| cycle.contains(&*file.to_string_lossy());
        let edges = imports.files.iter().filter(|((from, to), _)| inside(from) && inside(to));
        let edges = edges.map(|((from, to), paths)| {
            let paths: Vec<_> = paths.iter().map(String::as_str).collect();
            format!("\n    {} -> {}: {}", from.display(), to.display(), paths.join(", "))
        });
        let what = format!("a cycle of {} files{}", cycle.len(), edges.collect::<String>());
        findings.push(Finding::new(target.to_string_lossy(), what));
    }
    for (file, path) in &imports.through_root {
        let root = target.file_name().unwrap_or_default().to_string_lossy();
        let what = format!("`{path}` is imported through {root}: import it from where it is defined");
        findings.push(Finding::new(file.to_string_lossy(), what));
    }
    findings
}

#[cfg(test)]
mod tests;
