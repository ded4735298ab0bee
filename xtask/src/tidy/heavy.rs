//! Heavy dependencies, which only some crates may use.

use cargo_metadata::{DependencyKind, Package};

use super::finding::{Finding, manifest};

/// A dependency, or the beginning of its name with `*`, and the crates that may use it.
const HEAVY: &[(&str, &[&str])] = &[
    ("sqlx", &["store"]),
    ("redis", &["bus"]),
    ("kube*", &["lease"]),
    ("k8s-openapi", &["lease"]),
    ("config", &["chassis"]),
    ("opentelemetry*", &["chassis"]),
    ("tracing-opentelemetry", &["chassis"]),
    ("tracing-subscriber", &["chassis"]),
    ("pprof", &["chassis"]),
    ("prometheus", &["chassis", "instruments"]),
    ("clap", &["chassis", "cli", "e2e", "xtask"]),
];

/// Heavy dependencies that a package may not use; its tests may use any.
pub(super) fn check(package: &Package) -> Vec<Finding> {
    let shipped =
        package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development);
    shipped
        .filter_map(|dependency| {
            let users = users(&dependency.name)?;
            let may = users.contains(&package.name.as_str());
            (!may).then(|| {
                let what = format!("{} may be used only by {}", dependency.name, users.join(", "));
                Finding::new(manifest(package), what)
            })
        })
        .collect()
}

/// The crates that may use a dependency, if not all.
fn users(dependency: &str) -> Option<&'static [&'static str]> {
    let matches = |pattern: &str| match pattern.strip_suffix('*') {
        Some(beginning) => dependency.starts_with(beginning),
        None => dependency == pattern,
    };
    HEAVY.iter().find(|(pattern, _)| matches(pattern)).map(|(_, users)| *users)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_is_matched_by_its_name_or_its_beginning() {
        assert_eq!(users("sqlx"), Some(&["store"][..]));
        assert_eq!(users("opentelemetry_sdk"), Some(&["chassis"][..]));
        assert_eq!(users("config-of-another"), None);
        assert_eq!(users("serde"), None);
    }
}
