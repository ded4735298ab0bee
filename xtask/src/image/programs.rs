//! The programs that go into the image.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::{
    command::{cargo, run},
    workspace::Workspace,
};

/// The shipped programs.
pub(super) const SHIPPED: [&str; 5] = ["ingest", "migrate", "notify-listener", "rowcast", "ws-gateway"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Profile {
    Release,
    Dev,
}

/// Builds them. All packages are chosen, as for `dev` and `test`, so that the dependencies have the same features.
pub(super) fn build(workspace: &Workspace, profile: Profile) -> Result<()> {
    let mut build = cargo(workspace);
    build.args(["build", "--quiet", "--workspace"]).args(SHIPPED.map(|name| format!("--bin={name}")));
    if profile == Profile::Release {
        build.arg("--release");
    }
    run(&mut build)
}

/// Their names and paths.
pub(super) fn find(workspace: &Workspace, profile: Profile) -> Result<Vec<(&'static str, PathBuf)>> {
    let folder = Workspace::binaries(profile == Profile::Release)?;
    let mut found = Vec::new();
    for name in SHIPPED {
        let built = folder.join(name);
        if !built.is_file() {
            bail!("{} is not built: leave out --no-build", built.display());
        }
        let file = match profile {
            // the profile strips them
            Profile::Release => built,
            Profile::Dev => stripped(workspace, name, &built)?,
        };
        found.push((name, file));
    }
    Ok(found)
}

/// A copy without debug information: a third of the size.
fn stripped(workspace: &Workspace, name: &str, built: &Path) -> Result<PathBuf> {
    let folder = workspace.cache()?.join("image/stripped");
    fs::create_dir_all(&folder)?;
    let copy = folder.join(name);
    run(Command::new("strip").arg("-o").args([&copy]).arg(built))?;
    Ok(copy)
}
