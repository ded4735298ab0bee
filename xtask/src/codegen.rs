//! `cargo xtask codegen`: the files that are written from code.

mod typescript;

use std::fs;

use anyhow::{Context, Result};
use wire::close::Next;

use crate::workspace::Workspace;

/// A file that is committed and made from code.
#[derive(Debug)]
pub(crate) struct Generated {
    /// From the workspace's root.
    pub(crate) path: &'static str,
    /// What it must hold.
    pub(crate) text: String,
}

/// All of them.
pub(crate) fn files() -> Vec<Generated> {
    vec![
        Generated { path: "docs/CLOSE_CODES.md", text: close_codes() },
        Generated { path: "frontend/packages/client/src/wire.ts", text: typescript::module() },
    ]
}

pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    for file in files() {
        let path = workspace.root().join(file.path);
        let folder = path.parent().expect("the path has a folder");
        fs::create_dir_all(folder)?;
        fs::write(&path, file.text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn close_codes() -> String {
    let mut page = "\
# Why a socket ends

<!-- written by `cargo xtask codegen` from crates/wire/src/close.rs -->

| code | reason | what the client does |
|---|---|---|
"
    .to_owned();
    for close in wire::Close::ALL {
        page.push_str(&format!(
            "| {} | `{}` | {} |\n",
            close.code(),
            close.reason(),
            what_to_do(close.next())
        ));
    }
    page
}

fn what_to_do(next: Next) -> &'static str {
    match next {
        Next::Resume => "comes back after `after_ms` of `bye`, and resumes from its last position",
        Next::BackOff => "comes back later and later, and resumes from its last position",
        Next::Snapshot => "takes the latest values anew: the log no longer reaches back to its position",
        Next::Authenticate => "comes back with a valid token, and resumes from its last position",
        Next::Stop => "does not repeat what it sent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_row() {
        let page = close_codes();
        for close in wire::Close::ALL {
            assert!(page.contains(&format!("| {} | `{}` |", close.code(), close.reason())), "{close:?}");
        }
    }
}
