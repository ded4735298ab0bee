//! The Debian packages that files of this system come from.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{package::Package, system::CERTIFICATES};
use crate::command::answer;

/// The packages of these files; none where there is no dpkg.
pub(super) fn owners<'a>(files: impl Iterator<Item = &'a Path>) -> Result<Vec<Package>> {
    if answer(Path::new("dpkg-query"), &["--version"]).is_none() {
        return Ok(Vec::new());
    }
    let names: Result<BTreeSet<String>> = files.map(owner).collect();
    names?.iter().map(|name| describe(name)).collect()
}

/// The package's name as dpkg writes it: with the architecture where there may be several.
fn owner(file: &Path) -> Result<String> {
    if file == Path::new(CERTIFICATES) {
        // written when the package is configured, so that dpkg does not know it
        return Ok("ca-certificates".to_owned());
    }
    // dpkg has the path of the installation, which may contain a linked folder or not
    let merged = Path::new("/usr").join(file.strip_prefix("/").unwrap_or(file));
    let real = std::fs::canonicalize(file).unwrap_or_default();
    let bare = real.strip_prefix("/usr").map(|rest| Path::new("/").join(rest)).unwrap_or_default();
    [file.to_owned(), merged, real, bare]
        .iter()
        .find_map(|path: &PathBuf| {
            let found = answer(Path::new("dpkg-query"), &["--search", path.to_str()?])?;
            // `libc6:amd64: /lib/x86_64-linux-gnu/libc.so.6`
            found.lines().next()?.rsplit_once(": ").map(|(name, _)| name.to_owned())
        })
        .with_context(|| format!("no package has {}", file.display()))
}

fn describe(name: &str) -> Result<Package> {
    let shown = |format: &str| {
        answer(Path::new("dpkg-query"), &["--show", "--showformat", format, name])
            .with_context(|| format!("dpkg does not know {name}"))
    };
    let status = answer(Path::new("dpkg-query"), &["--status", name]).context("the status of a package")?;
    Ok(Package {
        name: shown("${Package}")?,
        version: shown("${Version}")?,
        architecture: shown("${Architecture}")?,
        status: format!("{status}\n"),
    })
}
