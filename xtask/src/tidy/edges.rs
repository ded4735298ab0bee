//! Which of our crates may use which: `wire` uses none, `chassis` and `lease` no domain crate, and services never each other.

use cargo_metadata::{Dependency, DependencyKind, Package};

use super::finding::{Finding, manifest};

/// Each crate with those that it may use; a crate that is not here may use none.
const EDGES: &[(&str, &[&str])] = &[
    ("auth", &["wire"]),
    ("access", &["auth", "chassis", "instruments", "store"]),
    ("chassis", &["instruments"]),
    ("store", &["auth", "instruments", "wire"]),
    ("bus", &["instruments", "wire"]),
    ("lease", &["instruments"]),
    ("cli", &["access", "auth", "chassis", "instruments", "store", "wire"]),
    ("documents", &["wire"]),
    ("testkit", &["store"]),
    ("e2e", &["documents", "testkit", "wire"]),
    ("ingest", &["access", "auth", "chassis", "documents", "instruments", "store", "wire"]),
    ("ws-gateway", &["access", "auth", "bus", "chassis", "documents", "instruments", "store", "wire"]),
    ("notify-listener", &["bus", "chassis", "instruments", "lease", "store", "wire"]),
    ("migrate", &["chassis", "store"]),
    ("xtask", &["documents", "testkit", "wire"]),
];

/// What any crate's tests may use.
const FOR_TESTS: &str = "testkit";

/// The edges of a package that are not allowed.
pub(super) fn check(package: &Package, ours: &[Package]) -> Vec<Finding> {
    let is_ours = |dependency: &Dependency| ours.iter().any(|package| package.name == dependency.name);
    let wrong = package.dependencies.iter().filter(|dependency| is_ours(dependency));
    wrong
        .filter(|dependency| !allowed(&package.name, &dependency.name, dependency.kind))
        .map(|dependency| {
            Finding::new(manifest(package), format!("{} may not use {}", package.name, dependency.name))
        })
        .collect()
}

fn allowed(from: &str, to: &str, kind: DependencyKind) -> bool {
    let listed = EDGES.iter().any(|(name, uses)| *name == from && uses.contains(&to));
    listed || (kind == DependencyKind::Development && to == FOR_TESTS)
}

#[cfg(test)]
mod tests {
    use DependencyKind::{Build, Development, Normal};

    use super::*;

    #[track_caller]
    fn may(from: &str, to: &str, kind: DependencyKind, expected: bool) {
        assert_eq!(allowed(from, to, kind), expected, "{from} -> {to} ({kind:?})");
    }

    #[test]
    fn only_the_edges_of_the_table_are_allowed() {
        may("ingest", "store", Normal, true);
        may("ingest", "bus", Normal, false);
        may("ingest", "ws-gateway", Normal, false);
        may("wire", "store", Normal, false);
        may("chassis", "wire", Normal, false);
        may("newcomer", "wire", Build, false);
    }

    #[test]
    fn testkit_is_for_tests_only() {
        may("ingest", "testkit", Development, true);
        may("ingest", "testkit", Normal, false);
        may("ingest", "testkit", Build, false);
        may("ingest", "bus", Development, false);
    }
}
