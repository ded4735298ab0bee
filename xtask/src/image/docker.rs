//! The image by its Dockerfile, saved as the archive that the other way packs.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use super::revision;
use crate::{command::run, terminal::print, workspace::Workspace};

/// Builds `name:tag` and saves it.
pub(super) fn build(workspace: &Workspace, name: &str, tag: &str, output: &Path) -> Result<()> {
    let image = format!("{name}:{tag}");
    let revision = revision::of(workspace.root()).unwrap_or_else(|| "unknown".to_owned());
    run(Command::new("docker")
        .current_dir(workspace.root())
        .args(["build", "--file", "services/Dockerfile", "--tag", &image])
        .args(["--build-arg", &format!("REVISION={revision}"), "."]))?;
    if let Some(folder) = output.parent() {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    run(Command::new("docker").arg("save").arg("--output").arg(output).arg(&image))?;
    print(&format!("{}: {image}", output.display()));
    Ok(())
}
