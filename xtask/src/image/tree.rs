//! Files of an image by their paths: sorted, owned by root, each below its folders.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use tar::{EntryType, Header};

/// By the path without the slash before it. The order puts a folder before what it holds.
#[derive(Debug, Default)]
pub(super) struct Tree(BTreeMap<String, Entry>);

#[derive(Debug)]
struct Entry {
    mode: u32,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Folder,
    File(PathBuf),
    Bytes(Vec<u8>),
}

impl Tree {
    pub(super) fn folder(&mut self, path: &str, mode: u32) {
        self.put(path, mode, Content::Folder);
    }

    pub(super) fn text(&mut self, path: &str, text: impl Into<Vec<u8>>) {
        self.put(path, 0o644, Content::Bytes(text.into()));
    }

    pub(super) fn file(&mut self, path: &str, from: &Path) {
        self.put(path, 0o644, Content::File(from.to_owned()));
    }

    /// A file that can be run.
    pub(super) fn program(&mut self, path: &str, from: &Path) {
        self.put(path, 0o755, Content::File(from.to_owned()));
    }

    /// All files below a folder.
    pub(super) fn folder_of(&mut self, path: &str, from: &Path) -> Result<()> {
        for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { bail!("{} is not UTF-8", entry.path().display()) };
            let path = format!("{path}/{name}");
            if entry.path().is_dir() {
                self.folder_of(&path, &entry.path())?;
            } else {
                self.file(&path, &entry.path());
            }
        }
        Ok(())
    }

    fn put(&mut self, path: &str, mode: u32, content: Content) {
        for (at, _) in path.match_indices('/') {
            let parent = || Entry { mode: 0o755, content: Content::Folder };
            self.0.entry(path[..at].to_owned()).or_insert_with(parent);
        }
        self.0.insert(path.to_owned(), Entry { mode, content });
    }

    /// A reproducible tar.
    pub(super) fn tar<W: Write>(&self, to: W, time: u64) -> Result<W> {
        let mut tar = tar::Builder::new(to);
        for (path, entry) in &self.0 {
            let mut header = Header::new_gnu();
            header.set_mode(entry.mode);
            header.set_mtime(time);
            header.set_uid(0);
            header.set_gid(0);
            let bytes = entry.content.bytes()?;
            header.set_size(bytes.len() as u64);
            let (kind, path) = match entry.content {
                Content::Folder => (EntryType::Directory, format!("{path}/")),
                Content::File(_) | Content::Bytes(_) => (EntryType::Regular, path.clone()),
            };
            header.set_entry_type(kind);
            tar.append_data(&mut header, &path, &bytes[..]).context(path)?;
        }
        tar.into_inner().context("ending the archive")
    }

    /// Writes files below a folder; unchanged ones are not touched, since a watcher would notice.
    pub(super) fn write_to(&self, folder: &Path) -> Result<()> {
        for (path, entry) in &self.0 {
            let file = folder.join(path);
            let written = match entry.content {
                Content::Folder => fs::create_dir_all(&file),
                Content::File(_) | Content::Bytes(_) => {
                    let bytes = entry.content.bytes()?;
                    if fs::read(&file).is_ok_and(|there| there == bytes) {
                        continue;
                    }
                    fs::write(&file, bytes)
                }
            };
            written
                .and_then(|()| fs::set_permissions(&file, fs::Permissions::from_mode(entry.mode)))
                .with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(())
    }
}

impl Content {
    fn bytes(&self) -> Result<Vec<u8>> {
        match self {
            Self::Folder => Ok(Vec::new()),
            Self::File(from) => fs::read(from).with_context(|| format!("reading {}", from.display())),
            Self::Bytes(bytes) => Ok(bytes.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(tree: &Tree) -> Vec<(String, u32, u64)> {
        let bytes = tree.tar(Vec::new(), 7).unwrap();
        let mut archive = tar::Archive::new(&bytes[..]);
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            (path, header.mode().unwrap(), header.mtime().unwrap())
        });
        entries.collect()
    }

    #[test]
    fn entries_are_sorted_below_their_folders_and_of_one_time() {
        let mut tree = Tree::default();
        tree.text("usr/b", "2");
        tree.text("usr-a", "1");
        tree.folder("tmp", 0o1777);
        let expected = [("tmp/", 0o1777), ("usr/", 0o755), ("usr-a", 0o644), ("usr/b", 0o644)];
        assert_eq!(listed(&tree), expected.map(|(path, mode)| (path.to_owned(), mode, 7)));
    }

    #[test]
    fn a_folder_is_the_same_bytes_whenever_its_files_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let tree = |names: [&str; 2]| {
            for name in names {
                fs::write(folder.path().join(name), "same").unwrap();
                let file = fs::File::options().write(true).open(folder.path().join(name)).unwrap();
                file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(name.len() as u64))
                    .unwrap();
            }
            let mut tree = Tree::default();
            tree.folder_of("page", folder.path()).unwrap();
            tree.tar(Vec::new(), 0).unwrap()
        };
        assert_eq!(tree(["a", "bb"]), tree(["bb", "a"]));
    }

    #[test]
    fn laid_out_files_have_their_modes() {
        let (folder, program) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
        let mut tree = Tree::default();
        tree.program("usr/local/bin/it", program.path());
        tree.folder("tmp", 0o1777);
        tree.write_to(folder.path()).unwrap();
        let mode = |path: &str| fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("usr/local/bin/it"), mode("tmp"), mode("usr")), (0o755, 0o1777, 0o755));
    }
}
