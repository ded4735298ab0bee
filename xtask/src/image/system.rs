//! The system files that programs need, without a shell or a package manager.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{package::Package, tree::Tree};

/// The trusted roots, where Debian's programs and rustls find them.
pub(super) const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// By which scanners identify the system.
const RELEASE: &str = "/etc/os-release";

const PASSWD: &str = "root:x:0:0:root:/:/sbin/nologin\nrowcast:x:65532:65532:rowcast:/tmp:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nrowcast:x:65532:\n";
const NSSWITCH: &str = "passwd: files\ngroup: files\nhosts: files dns\n";

pub(super) fn tree(libraries: &BTreeSet<PathBuf>, packages: &[Package]) -> Result<Tree> {
    let mut tree = Tree::default();
    for library in libraries {
        tree.program(inside(library)?, library);
    }
    let certificates = Path::new(CERTIFICATES);
    if !certificates.is_file() {
        anyhow::bail!("{CERTIFICATES} does not exist: install ca-certificates");
    }
    tree.file(inside(certificates)?, certificates);
    tree.text("etc/passwd", PASSWD);
    tree.text("etc/group", GROUP);
    tree.text("etc/nsswitch.conf", NSSWITCH);
    tree.folder("tmp", 0o1777);
    if !packages.is_empty() {
        tree.file(inside(Path::new(RELEASE))?, Path::new(RELEASE));
    }
    for package in packages {
        // where scanners search when there is no package manager
        tree.text(&format!("var/lib/dpkg/status.d/{}", package.name), package.status.clone());
        let licence = format!("/usr/share/doc/{}/copyright", package.name);
        if Path::new(&licence).exists() {
            tree.file(inside(Path::new(&licence))?, Path::new(&licence));
        }
    }
    Ok(tree)
}

/// The path as a tree names it.
fn inside(path: &Path) -> Result<&str> {
    let text = path.to_str().context("a path that is not UTF-8")?;
    text.strip_prefix('/').with_context(|| format!("{text} does not begin at the root"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::properties::USER;

    #[test]
    fn the_image_s_user_is_one_of_its_users() {
        let (user, group) = USER.split_once(':').unwrap();
        assert!(PASSWD.contains(&format!(":x:{user}:{group}:")) && GROUP.contains(&format!(":x:{group}:")));
    }
}
