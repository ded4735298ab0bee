//! `cargo xtask tidy --report`: the layout and the sizes of the sources, in figures.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use cargo_metadata::Package;

use super::{graph, layout, measures::Measures, sources};
use crate::terminal::print;

/// Prints it.
pub(super) fn print_all(root: &Path, packages: &[Package]) -> Result<()> {
    print("target                            modules   depth   cycles  imports through its root");
    for package in packages {
        let targets = layout::of(root, package)?;
        for (target, imports) in targets.iter().filter(|(_, imports)| !imports.top_level.is_empty()) {
            print(&format!(
                "{:<36}{:>5}{:>8}{:>9}{:>26}",
                target.display(),
                imports.top_level.len(),
                graph::depth(&imports.top_level),
                graph::cycles(&imports.graph()).len(),
                imports.through_root.len(),
            ));
        }
    }
    let files = measure(root)?;
    print("");
    print("lines                                 number  median   90 %    most");
    row("files", files.iter().map(|(_, measures)| measures.lines).collect());
    row("functions", files.iter().flat_map(|(_, measures)| measures.functions.clone()).collect());
    let libraries: Vec<PathBuf> = packages.iter().filter_map(|package| library(root, package)).collect();
    let shown = files.iter().filter(|(file, _)| libraries.iter().any(|library| file.starts_with(library)));
    let without_docs: Vec<_> = shown
        .flat_map(|(file, measures)| measures.undocumented.iter().map(move |item| (file, item)))
        .collect();
    print("");
    print(&format!("public items without docs: {}", without_docs.len()));
    for (file, item) in without_docs {
        print(&format!("    {}: {item}", file.display()));
    }
    Ok(())
}

fn measure(root: &Path) -> Result<Vec<(PathBuf, Measures)>> {
    let files = sources::files(root)?;
    let rust = files.into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs"));
    rust.map(|file| {
        let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        let measures = Measures::of(&text).with_context(|| format!("parsing {}", file.display()))?;
        Ok((file.strip_prefix(root).unwrap_or(&file).to_owned(), measures))
    })
    .collect()
}

/// The folder of the sources that others can link.
fn library(root: &Path, package: &Package) -> Option<PathBuf> {
    let target = package.targets.iter().find(|target| target.is_lib())?;
    let folder = target.src_path.as_std_path().parent()?;
    Some(folder.strip_prefix(root).unwrap_or(folder).to_owned())
}

fn row(what: &str, mut lines: Vec<usize>) {
    lines.sort_unstable();
    let at = |share: f64| percentile(&lines, share);
    print(&format!("{what:<36}{:>8}{:>8}{:>7}{:>8}", lines.len(), at(0.5), at(0.9), at(1.0)));
}

/// The smallest value that this share of the sorted values does not exceed.
fn percentile(sorted: &[usize], share: f64) -> usize {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        assert_eq!(
            [0.5, 0.9, 1.0].map(|share| percentile(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], share)),
            [5, 9, 10]
        );
        assert_eq!(percentile(&[7], 0.5), 7);
        assert_eq!(percentile(&[], 0.5), 0);
    }
}
