//! The folder of the servers' data.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context, Result};
use nix::unistd::geteuid;

use crate::workspace::Workspace;

/// The prefix of temporary folders, before their owner's process id.
const TEMPORARY: &str = "ephemeral-";

/// The folder of `dev`, created if it does not exist: in the checkout, unless Postgres' user may not enter that.
pub(crate) fn permanent(workspace: &Workspace) -> Result<PathBuf> {
    let beside = workspace.cache()?.join("dev");
    create(if !geteuid().is_root() || others_may_enter(workspace.root()) {
        beside
    } else {
        let mut hasher = DefaultHasher::new();
        workspace.root().hash(&mut hasher);
        PathBuf::from(format!("/var/tmp/rowcast-dev-{:016x}", hasher.finish()))
    })
}

/// A folder that is removed with its owner.
#[derive(Debug)]
pub(crate) struct TemporaryFolder {
    pub(crate) folder: PathBuf,
}

impl TemporaryFolder {
    /// A new one; folders of owners that were killed are removed.
    pub(crate) fn new(workspace: &Workspace) -> Result<Self> {
        let around = permanent(workspace)?;
        for entry in fs::read_dir(&around)?.flatten() {
            if entry.file_name().to_str().is_some_and(is_orphan) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let folder = create(around.join(format!("{TEMPORARY}{}", std::process::id())))?;
        Ok(Self { folder })
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // a server that was killed may still be writing
        for _ in 0..50 {
            if fs::remove_dir_all(&self.folder).is_ok() || !self.folder.exists() {
                break;
            }
            sleep(Duration::from_millis(100));
        }
    }
}

fn is_orphan(name: &str) -> bool {
    let owner = name.strip_prefix(TEMPORARY);
    owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists())
}

/// Removes the logs of the last run.
pub(crate) fn remove_logs(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "log") {
            fs::remove_file(file)?;
        }
    }
    Ok(())
}

fn create(folder: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

fn others_may_enter(folder: &Path) -> bool {
    let enter =
        |folder: &Path| fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & 0o001 != 0);
    folder.ancestors().all(enter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_a_private_one_is_closed_to_others() {
        let outer = tempfile::tempdir_in("/var/tmp").unwrap();
        let inner = create(outer.path().join("inner")).unwrap();
        fs::set_permissions(outer.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!others_may_enter(&inner));
        create(outer.path().to_owned()).unwrap();
        assert!(others_may_enter(&inner));
    }

    #[test]
    fn only_a_folder_without_its_process_is_an_orphan() {
        assert!(is_orphan("ephemeral-4194305"), "above the largest process number of Linux");
        assert!(!is_orphan(&format!("ephemeral-{}", std::process::id())));
        assert!(!is_orphan("postgres"));
    }

    #[test]
    fn only_logs_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ingest.log"), "x").unwrap();
        fs::write(folder.path().join("kept"), "x").unwrap();
        remove_logs(folder.path()).unwrap();
        let left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["kept"]);
    }
}
