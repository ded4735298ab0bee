//! Which file of a target imports from which, and what is imported through its root.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use super::{graph::Graph, modules::Modules};

/// The first module is the root.
const ROOT: usize = 0;
/// How many re-exports are followed; a longer chain is taken for a cycle.
const DEPTH: usize = 16;

/// The imports of a target.
#[derive(Debug, Default)]
pub(super) struct Imports {
    /// From the importing file to the one that defines the item, with the paths of the items.
    pub(super) files: BTreeMap<(PathBuf, PathBuf), BTreeSet<String>>,
    /// The same between the root's modules, each with the files in its folder.
    pub(super) top_level: Graph,
    /// Paths of items that the root itself defines or re-exports, with the importing file.
    pub(super) through_root: BTreeSet<(PathBuf, String)>,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy)]
struct Found {
    module: usize,
    is_item: bool,
    through_root: bool,
}

impl Imports {
    pub(super) fn of(modules: &Modules) -> Self {
        let mut imports = Self::default();
        for (at, module) in modules.iter() {
            if let Some(name) = module.path.first() {
                imports.top_level.entry(name.clone()).or_default();
            }
            let uses = module.contents.imports.iter().filter(|import| !import.passed_on);
            for import in uses {
                imports.add(modules, at, &import.path, import.name.is_none());
            }
            for path in &module.contents.paths {
                imports.add(modules, at, path, false);
            }
        }
        imports
    }

    fn add(&mut self, modules: &Modules, at: usize, path: &[String], all: bool) {
        let Some(found) = resolve(modules, at, path, DEPTH) else { return };
        let (from, to) = (modules.get(at), modules.get(found.module));
        let root = &modules.get(ROOT).file;
        if found.through_root && from.file != *root {
            self.through_root.insert((from.file.clone(), path.join("::")));
        }
        if from.file == to.file || !(found.is_item || all) {
            return;
        }
        self.files.entry((from.file.clone(), to.file.clone())).or_default().insert(path.join("::"));
        if let (Some(from), Some(to)) = (from.path.first(), to.path.first())
            && from != to
        {
            self.top_level.entry(from.clone()).or_default().insert(to.clone());
        }
    }

    /// The graph of files.
    pub(super) fn graph(&self) -> Graph {
        let mut graph = Graph::new();
        for (from, to) in self.files.keys() {
            let [from, to] = [from, to].map(|file| file.to_string_lossy().into_owned());
            graph.entry(to.clone()).or_default();
            graph.entry(from).or_default().insert(to);
        }
        graph
    }
}

/// Follows a path from a module; none if it leads out of the crate.
fn resolve(modules: &Modules, from: usize, path: &[String], depth: usize) -> Option<Found> {
    let (first, mut rest) = path.split_first()?;
    let mut found = match first.as_str() {
        "crate" => Found { module: ROOT, is_item: false, through_root: false },
        "self" => Found { module: from, is_item: false, through_root: false },
        "super" => Found { module: modules.get(from).parent?, is_item: false, through_root: false },
        name => look_up(modules, from, name, depth)?,
    };
    while let Some((name, after)) = rest.split_first()
        && !found.is_item
    {
        let next = match name.as_str() {
            "super" => Found { module: modules.get(found.module).parent?, ..found },
            "self" => found,
            name => look_up(modules, found.module, name, depth)?,
        };
        found = Found { through_root: found.through_root || next.through_root, ..next };
        rest = after;
    }
    Some(found)
}

/// What a name means in a module.
fn look_up(modules: &Modules, at: usize, name: &str, depth: usize) -> Option<Found> {
    let depth = depth.checked_sub(1)?;
    let module = modules.get(at);
    if let Some(child) = module.children.get(name) {
        return Some(Found { module: *child, is_item: false, through_root: false });
    }
    let through_root = at == ROOT;
    if module.contents.defined.contains(name) {
        return Some(Found { module: at, is_item: true, through_root });
    }
    let named = module.contents.imports.iter().filter(|import| import.name.as_deref() == Some(name));
    let mut targets = named.filter_map(|import| resolve(modules, at, &import.path, depth));
    let globs = module.contents.imports.iter().filter(|import| import.name.is_none());
    let mut behind_globs = globs
        .filter_map(|import| resolve(modules, at, &import.path, depth))
        .filter(|found| !found.is_item && found.module != at)
        .filter_map(|found| look_up(modules, found.module, name, depth));
    let found = targets.next().or_else(|| behind_globs.next())?;
    Some(Found { through_root, ..found })
}
