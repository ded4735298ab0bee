use std::collections::BTreeMap;

use super::*;

/// The findings in a crate of these files below `src`.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    let files: BTreeMap<PathBuf, &str> =
        files.iter().map(|(file, text)| (Path::new("src").join(file), *text)).collect();
    let root = Path::new("src/lib.rs");
    let modules = Modules::read(root, &|file| files.get(file).map(|text| (*text).to_owned())).unwrap();
    findings(root, &Imports::of(&modules)).iter().map(ToString::to_string).collect()
}

#[track_caller]
fn cycle(files: &[(&str, &str)], expected: &str) {
    let found = found(files);
    assert!(found.len() == 1 && found[0].contains(expected), "expected `{expected}`: {found:#?}");
}

#[track_caller]
fn none(files: &[(&str, &str)]) {
    assert_eq!(found(files), Vec::<String>::new());
}

#[test]
fn two_files_that_import_from_each_other_are_a_cycle() {
    let (a, b) = (("a.rs", "use crate::b::B; pub struct A;"), ("b.rs", "use super::a::A; pub struct B;"));
    cycle(&[("lib.rs", "mod a; mod b;"), a, b], "src/a.rs -> src/b.rs: crate::b::B");
    none(&[("lib.rs", "mod a; mod b;"), a, ("b.rs", "pub struct B;")]);
}

#[test]
fn a_child_may_import_from_its_parent_unless_the_parent_uses_what_it_defines() {
    let child = ("a/b.rs", "use super::A; pub struct B;");
    none(&[("lib.rs", "mod a;"), ("a.rs", "mod b; pub use b::B; pub struct A;"), child]);
    let uses = [
        "mod b; use b::B; pub struct A;",
        "mod b; pub use b::B; pub struct A(B);",
        "mod b; pub struct A(b::B);",
        "mod b; pub struct A; fn f() { let _ = b::B; }",
        "mod b; pub struct A; fn f() { drop(vec![b::B]) }",
        "mod b; pub struct A; fn f() { use self::b::*; }",
    ];
    for parent in uses {
        cycle(&[("lib.rs", "mod a;"), ("a.rs", parent), child], "a cycle of 2 files");
    }
}

#[test]
fn a_reexport_stands_for_the_file_that_defines_the_item() {
    let [root, a] = [("lib.rs", "mod a; mod c;"), ("a.rs", "mod b; pub use b::B; use crate::c::C;")];
    none(&[root, a, ("a/b.rs", "pub struct B;"), ("c.rs", "use crate::a::B; pub struct C;")]);
    let b = ("a/b.rs", "use crate::c::C; pub struct B;");
    cycle(&[root, a, b, ("c.rs", "use crate::a::B; pub struct C;")], "src/a/b.rs -> src/c.rs");
    let glob = ("a.rs", "mod b; pub use b::*;");
    cycle(&[root, glob, b, ("c.rs", "pub struct C(crate::a::B);")], "src/a/b.rs -> src/c.rs");
}

#[test]
fn what_is_for_tests_alone_does_not_count() {
    let b = ("b.rs", "use crate::a::A; pub struct B;");
    for a in [
        "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }",
        "pub struct A; #[cfg(test)] use crate::b::B;",
        "pub struct A; #[cfg(test)] fn f() { crate::b::B; }",
    ] {
        none(&[("lib.rs", "mod a; mod b;"), ("a.rs", a), b]);
    }
}

#[test]
fn the_root_is_not_imported_from() {
    for (root, a) in [
        ("mod a; pub struct Error;", "use crate::Error;"),
        ("mod a; pub struct Error;", "use super::Error;"),
        ("mod a; pub struct Error;", "fn f(_: crate::Error) {}"),
        ("mod a; mod b; pub use b::Error;", "use crate::Error;"),
        ("mod a; mod b; pub use b::*;", "use crate::{Error as Other};"),
    ] {
        let found = found(&[("lib.rs", root), ("a.rs", a), ("b.rs", "pub struct Error;")]);
        assert!(found.len() == 1 && found[0].contains("is imported through lib.rs"), "{a}: {found:?}");
    }
    none(&[
        ("lib.rs", "mod a; mod b; pub use b::Error;"),
        ("a.rs", "use crate::b::Error;"),
        ("b.rs", "pub struct Error;"),
    ]);
}

#[test]
fn a_name_of_another_crate_is_not_ours() {
    none(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use b_other::B; use ::b::B; pub struct A;"),
        ("b.rs", "use crate::a::A; pub struct B;"),
    ]);
}
