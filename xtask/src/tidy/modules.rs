//! The modules of a target as its files declare them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::contents::Contents;

/// The root is the first.
#[derive(Debug, Default)]
pub(super) struct Modules(Vec<Module>);

/// A module, in a file of its own or inside another's.
#[derive(Debug)]
pub(super) struct Module {
    pub(super) file: PathBuf,
    /// The names that lead to it from the root.
    pub(super) path: Vec<String>,
    pub(super) parent: Option<usize>,
    pub(super) children: BTreeMap<String, usize>,
    pub(super) contents: Contents,
}

impl Modules {
    /// Reads the root and every file that it leads to; modules for tests are left out.
    pub(super) fn read(root: &Path, read: &impl Fn(&Path) -> Option<String>) -> Result<Self> {
        let mut modules = Self::default();
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        modules.add_file(Location { file: root.to_owned(), folder, path: Vec::new(), parent: None }, read)?;
        Ok(modules)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Module)> {
        self.0.iter().enumerate()
    }

    pub(super) fn get(&self, at: usize) -> &Module {
        &self.0[at]
    }

    fn add_file(&mut self, location: Location, read: &impl Fn(&Path) -> Option<String>) -> Result<usize> {
        let text = read(&location.file).with_context(|| format!("reading {}", location.file.display()))?;
        let file = syn::parse_file(&text).with_context(|| format!("parsing {}", location.file.display()))?;
        self.add(location, &file.items, read)
    }

    fn add(
        &mut self,
        location: Location,
        items: &[syn::Item],
        read: &impl Fn(&Path) -> Option<String>,
    ) -> Result<usize> {
        let at = self.0.len();
        let contents = Contents::of(items);
        let Location { file, folder, path, parent } = location;
        self.0.push(Module {
            file: file.clone(),
            path: path.clone(),
            parent,
            children: BTreeMap::new(),
            contents,
        });
        for item in items {
            let syn::Item::Mod(module) = item else { continue };
            if super::contents::is_for_tests(&module.attrs) {
                continue;
            }
            let name = module.ident.to_string();
            let location = Location {
                file: file.clone(),
                folder: folder.join(&name),
                path: [path.clone(), vec![name.clone()]].concat(),
                parent: Some(at),
            };
            let child = match &module.content {
                Some((_, items)) => self.add(location, items, read)?,
                None => {
                    let named = folder.join(format!("{name}.rs"));
                    let inner = folder.join(&name).join("mod.rs");
                    let file = if read(&named).is_some() { named } else { inner };
                    self.add_file(Location { file, ..location }, read)?
                }
            };
            self.0[at].children.insert(name, child);
        }
        Ok(at)
    }
}

/// Where a module is, and where the files of its children are.
struct Location {
    file: PathBuf,
    folder: PathBuf,
    path: Vec<String>,
    parent: Option<usize>,
}
