//! What a module defines, imports and refers to.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, Item, UseTree, Visibility,
    visit::{self, Visit},
};

/// Without what is for tests alone.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// The names of its own items.
    pub(super) defined: BTreeSet<String>,
    pub(super) imports: Vec<Import>,
    /// Every other path in its code, macros included.
    pub(super) paths: BTreeSet<Vec<String>>,
}

/// One name of a `use`.
#[derive(Debug)]
pub(super) struct Import {
    /// Its name here; none for `*`.
    pub(super) name: Option<String>,
    pub(super) path: Vec<String>,
    /// Whether others may import it from here.
    pub(super) passed_on: bool,
}

impl Contents {
    pub(super) fn of(items: &[Item]) -> Self {
        let mut contents = Self { defined: items.iter().filter_map(name).collect(), ..Self::default() };
        for item in items {
            contents.visit_item(item);
        }
        contents
    }

    fn import(&mut self, tree: &UseTree, path: &[String], passed_on: bool) {
        match tree {
            UseTree::Path(part) => {
                let path = [path, &[part.ident.to_string()]].concat();
                self.import(&part.tree, &path, passed_on);
            }
            UseTree::Name(last) if last.ident == "self" => {
                let name = path.last().cloned();
                self.imports.push(Import { name, path: path.to_owned(), passed_on });
            }
            UseTree::Name(last) => {
                let name = last.ident.to_string();
                let path = [path, std::slice::from_ref(&name)].concat();
                self.imports.push(Import { name: Some(name), path, passed_on });
            }
            UseTree::Rename(last) => {
                let path = [path, &[last.ident.to_string()]].concat();
                self.imports.push(Import { name: Some(last.rename.to_string()), path, passed_on });
            }
            UseTree::Glob(_) => {
                self.imports.push(Import { name: None, path: path.to_owned(), passed_on });
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, path, passed_on);
                }
            }
        }
    }

    /// The paths in a macro's tokens, which are not parsed.
    fn scan(&mut self, tokens: TokenStream) {
        let (mut path, mut colons) = (Vec::new(), 0);
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => colons += 1,
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.paths.insert(std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Group(group) => self.scan(group.stream()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.paths.insert(std::mem::take(&mut path));
                    colons = 0;
                }
            }
        }
        self.paths.insert(path);
    }
}

impl<'ast> Visit<'ast> for Contents {
    fn visit_item(&mut self, item: &'ast Item) {
        let is_module = matches!(item, Item::Mod(_));
        if !is_module && !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if item.leading_colon.is_none() {
            self.import(&item.tree, &[], !matches!(item.vis, Visibility::Inherited));
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            self.paths.insert(path.segments.iter().map(|part| part.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.scan(call.tokens.clone());
    }

    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}

/// Whether it is compiled for tests only.
pub(super) fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).any(|attribute| {
        let condition = attribute.meta.require_list().map(|list| list.tokens.to_string());
        condition.is_ok_and(|text| text == "test" || text.starts_with("all (test"))
    })
}

fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
