//! The folders of the workspace.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folders of this checkout.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The checkout that this program was built from.
    pub(crate) fn here() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in the workspace's root");
        Self { root: root.to_owned() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn frontend(&self) -> PathBuf {
        self.root.join("frontend")
    }

    /// The built page.
    pub(crate) fn page(&self) -> PathBuf {
        self.frontend().join("build/client")
    }

    /// The alerts, for a Prometheus without its operator.
    pub(crate) fn rules(&self) -> PathBuf {
        self.root.join("k8s/monitoring/rules.yaml")
    }

    /// What the automation stores: created if it does not exist, ignored by git.
    pub(crate) fn cache(&self) -> Result<PathBuf> {
        let folder = self.root.join(".rowcast");
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(folder)
    }

    /// Where cargo puts the binaries: beside this one, or beside its folder.
    pub(crate) fn binaries(release: bool) -> Result<PathBuf> {
        let own = std::env::current_exe().context("the path of this program")?;
        let target = own.ancestors().nth(2).context("this program was not built by cargo")?;
        Ok(target.join(if release { "release" } else { "debug" }))
    }
}
