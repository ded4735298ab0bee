//! What a check reports.

use std::fmt;

use cargo_metadata::Package;

/// A fault, with its file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    what: String,
}

impl Finding {
    pub(super) fn new(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self { path: path.into(), what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}

/// Where a package is declared, from the workspace's root.
pub(super) fn manifest(package: &Package) -> String {
    let path = &package.manifest_path;
    let components: Vec<&str> = path.components().rev().take(3).map(|part| part.as_str()).collect();
    match components[..] {
        [file, package, group @ ("crates" | "services")] => format!("{group}/{package}/{file}"),
        [file, package, ..] => format!("{package}/{file}"),
        _ => path.to_string(),
    }
}
