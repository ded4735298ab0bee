//! Generated files are what the code would write now.

use std::{fs, path::Path};

use super::finding::Finding;
use crate::codegen::{self, generated::Generated};

/// The files that are not.
pub(super) fn check(root: &Path) -> Vec<Finding> {
    codegen::files(root).into_iter().filter_map(|file| compare(root, &file)).collect()
}

fn compare(root: &Path, file: &Generated) -> Option<Finding> {
    let there = fs::read_to_string(root.join(file.path)).unwrap_or_default();
    (there != file.text).then(|| Finding::new(file.path, "out of date: `cargo xtask codegen` writes it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_missing_or_differs_is_out_of_date() {
        let root = tempfile::tempdir().unwrap();
        let file = Generated { path: "page.md", text: "new\n".to_owned() };
        assert!(compare(root.path(), &file).is_some());
        fs::write(root.path().join("page.md"), "old\n").unwrap();
        assert!(compare(root.path(), &file).is_some());
        fs::write(root.path().join("page.md"), "new\n").unwrap();
        assert_eq!(compare(root.path(), &file), None);
    }
}
