//! The commit that an image is built from.

use std::path::Path;

use crate::command::answer;

/// The commit that is checked out, marked if files differ from it.
pub(super) fn of(root: &Path) -> Option<String> {
    let git = |args: &[&str]| answer(Path::new("git"), &[&["-C", root.to_str()?], args].concat());
    let commit = git(&["rev-parse", "HEAD"])?;
    let clean = git(&["status", "--porcelain"])?.is_empty();
    Some(if clean { commit } else { format!("{commit}-dirty") })
}
