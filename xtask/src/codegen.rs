//! `cargo xtask codegen`: the files that are written from code.

mod chart;
mod typescript;

use std::{fs, path::Path};

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
pub(crate) fn files(root: &Path) -> Vec<Generated> {
    let [schema, readme] = chart::files(root);
    vec![
        protocol_page(root),
        schema,
        readme,
        Generated { path: "frontend/packages/client/src/wire.ts", text: typescript::module() },
        Generated { path: "docs/openapi.json", text: documents::openapi() },
        Generated { path: "docs/asyncapi.json", text: documents::asyncapi() },
    ]
}

pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    for file in files(workspace.root()) {
        let path = workspace.root().join(file.path);
        let folder = path.parent().expect("the path has a folder");
        fs::create_dir_all(folder)?;
        fs::write(&path, file.text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// The protocol's page with its tables. A page or a mark that is missing shows as a file out of date.
fn protocol_page(root: &Path) -> Generated {
    let path = "docs/PROTOCOL.md";
    let page = fs::read_to_string(root.join(path)).unwrap_or_default();
    let page = splice(&page, "<!-- close codes:", &close_codes());
    let text = splice(&page, "<!-- error codes:", &error_codes());
    Generated { path, text }
}

/// Puts a table between the line that begins with `mark` and the next `<!-- end -->`.
fn splice(page: &str, mark: &str, table: &str) -> String {
    let parts = page.split_once(mark).and_then(|(before, rest)| {
        let (line, rest) = rest.split_once('\n')?;
        let (_, after) = rest.split_once("<!-- end -->")?;
        Some(format!("{before}{mark}{line}\n\n{table}\n<!-- end -->{after}"))
    });
    parts.unwrap_or_else(|| format!("{page}\n{mark} is missing\n"))
}

fn close_codes() -> String {
    let rows = wire::Close::ALL.iter().map(|close| {
        format!(
            "| {} | `{}` | {} | {} |\n",
            close.code(),
            close.reason(),
            close.meaning().trim(),
            what_to_do(close.next())
        )
    });
    format!("| code | reason | why | what the client does |\n|---|---|---|---|\n{}", rows.collect::<String>())
}

fn error_codes() -> String {
    let rows = wire::ErrorCode::ALL.iter().map(|code| {
        let retry = if code.retry() { "yes" } else { "no" };
        format!("| `{}` | {} | {retry} |\n", code.word(), code.meaning().trim())
    });
    format!("| code | why | `retry` |\n|---|---|---|\n{}", rows.collect::<String>())
}

fn what_to_do(next: Next) -> &'static str {
    match next {
        Next::Resume => "comes back after `after_ms` of `bye`, and resumes from its last position",
        Next::BackOff => "comes back later and later, and resumes from its last position",
        Next::Snapshot => "takes the latest values anew",
        Next::Authenticate => "comes back with a valid token, and resumes from its last position",
        Next::Stop => "does not repeat what it sent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_stands_between_its_marks_and_a_missing_mark_shows() {
        let page = "before\n<!-- x: by hand -->\n\nold\n<!-- end -->\nafter\n";
        let spliced = splice(page, "<!-- x:", "| new |\n");
        assert_eq!(spliced, "before\n<!-- x: by hand -->\n\n| new |\n\n<!-- end -->\nafter\n");
        assert_eq!(splice(&spliced, "<!-- x:", "| new |\n"), spliced);
        assert_ne!(splice("no mark", "<!-- x:", "| new |\n"), "no mark");
    }

    #[test]
    fn every_code_has_a_row() {
        for close in wire::Close::ALL {
            assert!(
                close_codes().contains(&format!("| {} | `{}` |", close.code(), close.reason())),
                "{close:?}"
            );
        }
    }
}
