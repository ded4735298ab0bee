//! `cargo xtask codegen`: the files that are written from code.

mod chart;
pub(crate) mod generated;
mod metrics;
mod rules;
mod typescript;

use std::{fs, path::Path};

use anyhow::{Context, Result};
use wire::close::Next;

use self::generated::{Generated, splice};
use crate::{
    page,
    setup::{self, Needs},
    workspace::Workspace,
};

/// All that need no other program.
pub(crate) fn files(root: &Path) -> Vec<Generated> {
    let [schema, readme] = chart::files(root);
    let [rules, operations] = rules::files(root);
    vec![
        protocol_page(root),
        metrics::page(root),
        schema,
        readme,
        rules,
        operations,
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
    let tools = setup::set_up(workspace, Needs { page: true, ..Needs::NOTHING })?;
    let node = tools.node.context("no Node to write the dashboards with")?;
    page::install(workspace, &node)?;
    page::write_dashboards(workspace, &node)
}

/// The protocol's page with its tables. A missing page or mark is reported as a file out of date.
fn protocol_page(root: &Path) -> Generated {
    let path = "docs/PROTOCOL.md";
    let page = fs::read_to_string(root.join(path)).unwrap_or_default();
    let page = splice(&page, "<!-- close codes:", &close_codes());
    let text = splice(&page, "<!-- error codes:", &error_codes());
    Generated { path, text }
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
        Next::Resume => "reconnects after `after_ms` of `bye`, and resumes from its last position",
        Next::BackOff => "reconnects with growing pauses, and resumes from its last position",
        Next::Snapshot => "takes a new snapshot",
        Next::Authenticate => "reconnects with a valid token, and resumes from its last position",
        Next::Stop => "does not repeat what it sent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
