//! The page: installed and built only when what goes into it has changed.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
};

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use crate::{command::run, setup::node::Node, terminal::print, workspace::Workspace};

/// Folders of `frontend` that do not go into the page.
const NOT_INPUT: [&str; 6] = ["node_modules", "build", "dist", ".react-router", "e2e", "dashboards"];

/// Installs what the lock file names into `node_modules`.
pub(crate) fn install(workspace: &Workspace, node: &Node) -> Result<()> {
    let frontend = workspace.frontend();
    // npm writes what it installed into a lock file of its own
    let [locked, installed] =
        ["package-lock.json", "node_modules/.package-lock.json"].map(|file| packages(&frontend.join(file)));
    let locked = locked.context("frontend/package-lock.json cannot be read")?;
    if installed.is_some_and(|installed| is_installed(&locked, &installed)) {
        return Ok(());
    }
    print("installing the page's packages");
    run(&mut node.npm(&frontend, &["ci", "--include=dev"])?)
}

/// Builds it, unless the input is that of the last build.
pub(crate) fn build(workspace: &Workspace, node: &Node) -> Result<()> {
    let stamp = workspace.cache()?.join("page.stamp");
    let input = digest(&workspace.frontend())?;
    let is_built = workspace.page().join("index.html").is_file();
    if is_built && fs::read_to_string(&stamp).is_ok_and(|built| built == input) {
        return Ok(());
    }
    print("building the page");
    run(&mut node.npm(&workspace.frontend(), &["run", "build"])?)?;
    fs::write(&stamp, input).context("writing the stamp of the page")
}

/// Writes the dashboards into the chart.
pub(crate) fn write_dashboards(workspace: &Workspace, node: &Node) -> Result<()> {
    let args = ["run", "--silent", "build", "--workspace", "@rowcast/dashboards"];
    run(&mut node.npm(&workspace.frontend(), &args)?)
}

/// Development packages of npm that the page bundles nevertheless.
const BUNDLED: [&str; 2] = ["swagger-ui-dist", "tailwindcss"];

/// The packages in the page beside ours: name, version and licence of each package.
pub(crate) fn shipped(workspace: &Workspace) -> Result<Vec<(String, String, Option<String>)>> {
    let locked = packages(&workspace.frontend().join("package-lock.json"));
    Ok(bundled(&locked.context("frontend/package-lock.json cannot be read")?))
}

fn bundled(locked: &Map<String, Value>) -> Vec<(String, String, Option<String>)> {
    let text = |lock: &Value, key: &str| lock[key].as_str().map(str::to_owned);
    let all = locked.iter().filter_map(|(path, lock)| {
        // our own packages are elsewhere, and are links here
        let name = path.rsplit_once("node_modules/")?.1;
        let ships = lock["dev"] != true || BUNDLED.contains(&name);
        let version = text(lock, "version").filter(|_| ships && lock["link"] != true)?;
        Some((name.to_owned(), version, text(lock, "license")))
    });
    all.collect()
}

/// The packages of a lock file, without the project itself.
fn packages(file: &Path) -> Option<Map<String, Value>> {
    let mut lock: Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
    let Value::Object(mut packages) = lock["packages"].take() else { return None };
    packages.remove("");
    Some(packages)
}

/// Whether everything in the lock file is installed in the same version, except optional packages.
fn is_installed(locked: &Map<String, Value>, installed: &Map<String, Value>) -> bool {
    let same =
        |name: &str, there: &Value| locked.get(name).is_some_and(|lock| lock["version"] == there["version"]);
    let needed = |lock: &Value| lock["optional"] != true;
    installed.iter().all(|(name, there)| same(name, there))
        && locked.iter().all(|(name, lock)| !needed(lock) || installed.contains_key(name))
}

fn digest(frontend: &Path) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    feed(frontend, &mut hasher)?;
    Ok(format!("{:016x}", hasher.finish()))
}

fn feed(folder: &Path, hasher: &mut DefaultHasher) -> Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        if NOT_INPUT.iter().any(|folder| name == *folder) {
            continue;
        }
        name.hash(hasher);
        if entry.file_type()?.is_dir() {
            feed(&path, hasher)?;
        } else {
            fs::read(&path).with_context(|| path.display().to_string())?.hash(hasher);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(installed: Value, complete: bool) {
        let locked = json!({"a": {"version": "1"}, "b": {"version": "2", "optional": true}});
        let [locked, installed] = [locked, installed].map(|packages| packages.as_object().cloned().unwrap());
        assert_eq!(is_installed(&locked, &installed), complete, "{installed:?}");
    }

    #[test]
    fn packages_are_installed_when_the_lock_file_s_are() {
        check(json!({"a": {"version": "1"}, "b": {"version": "2"}}), true);
        check(json!({"a": {"version": "1"}}), true);
        check(json!({"a": {"version": "0"}}), false);
        check(json!({"b": {"version": "2"}}), false);
        check(json!({"a": {"version": "1"}, "c": {"version": "1"}}), false);
    }

    #[test]
    fn what_is_bundled_ships_and_tools_and_our_own_do_not() {
        let locked = json!({
            "node_modules/react": {"version": "1", "license": "MIT"},
            "node_modules/a/node_modules/@b/c": {"version": "2"},
            "node_modules/swagger-ui-dist": {"version": "3", "dev": true},
            "node_modules/vite": {"version": "4", "dev": true},
            "node_modules/@rowcast/client": {"link": true},
            "packages/client": {"version": "5"},
        });
        let mut found = bundled(locked.as_object().unwrap());
        found.sort();
        let package = |name: &str, version: &str| (name.to_owned(), version.to_owned(), None);
        let mut react = package("react", "1");
        react.2 = Some("MIT".to_owned());
        assert_eq!(found, [package("@b/c", "2"), react, package("swagger-ui-dist", "3")]);
    }

    #[test]
    fn a_changed_source_changes_the_input_and_a_build_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let file = folder.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        write("app/root.tsx", "one");
        let first = digest(folder.path()).unwrap();
        write("build/client/index.html", "built");
        assert_eq!(digest(folder.path()).unwrap(), first);
        write("app/root.tsx", "two");
        assert_ne!(digest(folder.path()).unwrap(), first);
    }
}
