//! Programs for tests that are built from Go modules, with the system's Go or that of the module proxy.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use testkit::process::find_program;

use super::node::python;
use crate::{
    command::{answer, run},
    terminal::print,
    workspace::Workspace,
};

/// The Go that is fetched where the system has none, or one that cannot fetch a newer one.
const GO: &str = "go1.25.4";

/// Since this release Go fetches the release that a module asks for.
const AT_LEAST: u32 = 21;

/// What is built.
pub(super) struct Module<'a> {
    /// For messages, and for the folder.
    pub(super) name: &'a str,
    /// The module or command that is fetched.
    pub(super) path: &'a str,
    pub(super) version: &'a str,
    /// The program's text; none: the command itself is built.
    pub(super) main: Option<&'a str>,
}

/// The program, built if it was not yet.
pub(super) fn program(workspace: &Workspace, module: &Module<'_>) -> Result<PathBuf> {
    let Module { name, path, version, main } = module;
    let folder = workspace.cache()?.join(format!("{name}-{version}"));
    let program = folder.join(name);
    let is_current =
        main.is_none_or(|main| fs::read_to_string(folder.join("main.go")).is_ok_and(|own| own == main));
    if program.is_file() && is_current {
        return Ok(program);
    }
    let go = match find_program("go", &["/usr/local/go/bin", "/usr/bin"]).filter(|go| is_usable(go)) {
        Some(go) => go,
        None => fetch_go(&workspace.cache()?)?,
    };
    print(&format!("building {name} {version}"));
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("go.mod"), format!("module {name}\n\ngo 1.24\n"))?;
    let run_go = |arguments: &[&str]| {
        let mut command = Command::new(&go);
        // it may be that of a Debian package, which does not fetch another by itself
        run(command
            .args(arguments)
            .current_dir(&folder)
            .env("GOTOOLCHAIN", "auto")
            .env("GOFLAGS", "-buildvcs=false -mod=mod"))
    };
    let fetched = format!("{path}@{version}");
    let built = match main {
        Some(main) => {
            fs::write(folder.join("main.go"), main)?;
            run_go(&["get", &fetched])?;
            "."
        }
        None => {
            run_go(&["get", "-tool", &fetched])?;
            path
        }
    };
    // renamed when it is whole
    let part = format!("{name}.part");
    run_go(&["build", "-ldflags=-s -w", "-o", &part, built])?;
    fs::rename(folder.join(part), &program)?;
    Ok(program)
}

fn is_usable(go: &Path) -> bool {
    let version = answer(go, &["env", "GOVERSION"]).unwrap_or_default();
    let minor = version.trim().strip_prefix("go1.").and_then(|rest| rest.split('.').next()?.parse().ok());
    minor.is_some_and(|minor: u32| minor >= AT_LEAST)
}

fn fetch_go(cache: &Path) -> Result<PathBuf> {
    let folder = cache.join(GO);
    let unpacked = folder.join(format!("golang.org/toolchain@v0.0.1-{GO}.linux-amd64"));
    let go = unpacked.join("bin/go");
    if go.is_file() {
        return Ok(go);
    }
    print(&format!("fetching {GO}"));
    fs::create_dir_all(&folder)?;
    let archive = folder.join("go.zip");
    let proxy = std::env::var("GOPROXY").unwrap_or_default();
    let proxy =
        proxy.split([',', '|']).find(|proxy| proxy.starts_with("http")).unwrap_or("https://proxy.golang.org");
    let url = format!("{proxy}/golang.org/toolchain/@v/v0.0.1-{GO}.linux-amd64.zip");
    run(Command::new("curl").args(["-fsSL", "--retry", "3", "-o"]).arg(&archive).arg(url))?;
    run(python().args(["-m", "zipfile", "-e"]).arg(&archive).arg(&folder))?;
    fs::remove_file(&archive)?;
    run(Command::new("chmod").arg("-R").arg("+x").arg(unpacked.join("bin")).arg(unpacked.join("pkg/tool")))
        .context("Go was not unpacked")?;
    Ok(go)
}
