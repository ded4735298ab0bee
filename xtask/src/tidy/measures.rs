//! The sizes of a file and its functions, and its public items without docs.

use std::collections::BTreeSet;

use syn::{
    Attribute, Block, ImplItem, Item, Signature, TraitItem, Visibility,
    spanned::Spanned,
    visit::{self, Visit},
};

use super::contents::is_for_tests;

/// Of one file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Measures {
    pub(super) lines: usize,
    /// Of each function, from its signature to its end.
    pub(super) functions: Vec<usize>,
    /// The public items without a doc comment; modules have theirs in their files.
    pub(super) undocumented: BTreeSet<String>,
}

impl Measures {
    pub(super) fn of(text: &str) -> syn::Result<Self> {
        let mut measures = Self { lines: text.lines().count(), ..Self::default() };
        let file = syn::parse_file(text)?;
        measures.visit_file(&file);
        for item in &file.items {
            measures.document(item);
        }
        Ok(measures)
    }

    fn measure(&mut self, signature: &Signature, block: &Block) {
        let first = signature.span().start().line;
        self.functions.push(block.span().end().line + 1 - first);
    }

    fn document(&mut self, item: &Item) {
        match item {
            Item::Const(item) => self.require(&item.vis, &item.attrs, &item.ident),
            Item::Fn(item) => self.require(&item.vis, &item.attrs, &item.sig.ident),
            Item::Static(item) => self.require(&item.vis, &item.attrs, &item.ident),
            Item::Type(item) => self.require(&item.vis, &item.attrs, &item.ident),
            Item::Struct(item) => {
                self.require(&item.vis, &item.attrs, &item.ident);
                if is_public(&item.vis) {
                    self.fields(&item.ident, &item.fields);
                }
            }
            Item::Enum(item) => {
                self.require(&item.vis, &item.attrs, &item.ident);
                for variant in item.variants.iter().filter(|_| is_public(&item.vis)) {
                    self.require(&item.vis, &variant.attrs, &format!("{}::{}", item.ident, variant.ident));
                }
            }
            Item::Trait(item) => {
                self.require(&item.vis, &item.attrs, &item.ident);
                for part in &item.items {
                    if let TraitItem::Fn(function) = part {
                        self.require(&item.vis, &function.attrs, &function.sig.ident);
                    }
                }
            }
            Item::Impl(item) if item.trait_.is_none() => {
                for part in &item.items {
                    match part {
                        ImplItem::Const(part) => self.require(&part.vis, &part.attrs, &part.ident),
                        ImplItem::Fn(part) => self.require(&part.vis, &part.attrs, &part.sig.ident),
                        _ => {}
                    }
                }
            }
            Item::Mod(item) if !is_for_tests(&item.attrs) => {
                for item in item.content.iter().flat_map(|(_, items)| items) {
                    self.document(item);
                }
            }
            _ => {}
        }
    }

    fn fields(&mut self, of: &syn::Ident, fields: &syn::Fields) {
        for field in fields.iter().filter(|field| field.ident.is_some()) {
            let name = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
            self.require(&field.vis, &field.attrs, &format!("{of}.{name}"));
        }
    }

    fn require(&mut self, visibility: &Visibility, attributes: &[Attribute], name: &impl ToString) {
        let has_doc = attributes.iter().any(|attribute| attribute.path().is_ident("doc"));
        if is_public(visibility) && !has_doc && !is_for_tests(attributes) {
            self.undocumented.insert(name.to_string());
        }
    }
}

impl<'ast> Visit<'ast> for Measures {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.measure(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.measure(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.measure(&function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured_from_their_signature_to_their_end() {
        let text =
            "/// Doc.\nfn a() {\n}\n\nimpl A {\n    #[inline]\n    fn b(\n    ) {\n        c();\n    }\n}\n";
        let measures = Measures::of(text).unwrap();
        assert_eq!((measures.lines, measures.functions), (11, vec![2, 4]));
    }

    #[test]
    fn public_items_without_docs_are_found() {
        let text = "pub struct A { pub b: u8, /// Doc.\npub c: u8, d: u8 }\n/// Doc.\npub enum E { V }\n\
                    impl A { pub fn f() {} fn g() {} }\nimpl Clone for A { fn clone(&self) -> Self { A } }\n\
                    pub(crate) fn h() {}\n#[cfg(test)]\nmod tests { pub fn t() {} }\n";
        let found: Vec<_> = Measures::of(text).unwrap().undocumented.into_iter().collect();
        assert_eq!(found, ["A", "A.b", "E::V", "f"]);
    }
}
