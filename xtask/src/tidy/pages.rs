//! The files that pages mention exist.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::finding::Finding;

const PAGES: [&str; 2] = ["ARCHITECTURE.md", "CONTRIBUTING.md"];
const DECISIONS: &str = "docs/adr";

/// How files are named that a page may mention.
const ENDINGS: [&str; 12] =
    [".css", ".json", ".lua", ".md", ".rs", ".sh", ".sql", ".toml", ".ts", ".tsx", ".yaml", ".yml"];
/// Where a path may begin, instead of at the root: pages may leave these out.
const FOLDERS: [&str; 4] = ["crates", "services", "docs", "frontend"];

/// The mentioned files that do not exist.
pub(super) fn check(root: &Path, sources: &[PathBuf]) -> Result<Vec<Finding>> {
    let mut pages: Vec<PathBuf> = PAGES.iter().map(PathBuf::from).collect();
    for entry in fs::read_dir(root.join(DECISIONS)).into_iter().flatten() {
        let name = entry?.file_name();
        pages.push(Path::new(DECISIONS).join(name));
    }
    pages.sort();
    let exists = |from: &Path, path: &str| exists(root, sources, from, path);
    let mut findings = Vec::new();
    for page in pages.iter().filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
        let text =
            fs::read_to_string(root.join(page)).with_context(|| format!("reading {}", page.display()))?;
        let missing = named(&text).into_iter().filter(|path| !exists(page, path));
        findings.extend(missing.map(|path| Finding::new(page.to_string_lossy(), format!("no file {path}"))));
    }
    Ok(findings)
}

/// The files that a page names: in backquotes, or as the target of a link.
fn named(text: &str) -> BTreeSet<String> {
    let quoted = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let linked = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    let is_file = |name: &str| {
        let plain = |c: char| c.is_alphanumeric() || "/._-".contains(c);
        name.chars().all(plain) && (ENDINGS.iter().any(|ending| name.ends_with(ending)))
    };
    quoted.chain(linked).filter(|name| is_file(name) && !name.starts_with('.')).map(str::to_owned).collect()
}

/// A path from the root, the page or one of the folders; or the end of the path of a source.
fn exists(root: &Path, sources: &[PathBuf], page: &Path, path: &str) -> bool {
    let beside = page.parent().unwrap_or(Path::new("")).join(path);
    let places = FOLDERS.iter().map(|folder| Path::new(folder).join(path));
    places.chain([PathBuf::from(path), beside]).any(|place| root.join(place).exists())
        || sources.iter().any(|source| source.ends_with(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_in_quotes_and_links() {
        let page = "See `hub.rs`, [b](docs/B.md#part), `planner.rs` and `a.b()`, `wire::x`, .rowcast, `.ci/run`,\n\
                    [web](https://a.example/x.md), `{a,b}.rs`, `ROWCAST_X`.";
        let found: Vec<_> = named(page).into_iter().collect();
        assert_eq!(found, ["docs/B.md", "hub.rs", "planner.rs"]);
    }

    #[test]
    fn a_missing_file_is_found() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let file = root.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        write("ARCHITECTURE.md", "`a/src/x.rs`, `x.rs`, `gone.rs`, [adr](docs/adr/one.md)");
        write("CONTRIBUTING.md", "`b.toml`");
        write("docs/adr/one.md", "[two](two.md)");
        write("crates/a/src/x.rs", "");
        let sources = [root.path().join("crates/a/src/x.rs")];
        let found: Vec<_> = check(root.path(), &sources).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "ARCHITECTURE.md: no file gone.rs",
                "CONTRIBUTING.md: no file b.toml",
                "docs/adr/one.md: no file two.md"
            ]
        );
    }
}
