//! Heavy dependencies, each in one place.

use cargo_metadata::{DependencyKind, Package};

use super::finding::{Finding, manifest};

/// The dependency, or how its name begins, and who may name it.
const FENCES: &[(&str, &[&str])] = &[
    ("sqlx", &["store"]),
    ("redis", &["bus"]),
    ("kube*", &["lease"]),
    ("k8s-openapi", &["lease"]),
    ("config", &["chassis"]),
    ("opentelemetry*", &["chassis"]),
    ("tracing-opentelemetry", &["chassis"]),
    ("tracing-subscriber", &["chassis"]),
    ("prometheus", &["chassis", "lease", "ingest", "ws-gateway", "notify-listener"]),
    ("clap", &["chassis", "cli", "e2e", "xtask"]),
];

/// Dependencies of a package that belong to another's fence; its tests may use what they like.
pub(super) fn check(package: &Package) -> Vec<Finding> {
    let shipped =
        package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development);
    shipped
        .filter_map(|dependency| {
            let inside = fence(&dependency.name)?;
            let outside = !inside.contains(&package.name.as_str());
            outside.then(|| {
                let what = format!("{} may be named only by {}", dependency.name, inside.join(", "));
                Finding::new(manifest(package), what)
            })
        })
        .collect()
}

/// Who may name a dependency, if not everyone.
fn fence(dependency: &str) -> Option<&'static [&'static str]> {
    let matches = |pattern: &str| match pattern.strip_suffix('*') {
        Some(beginning) => dependency.starts_with(beginning),
        None => dependency == pattern,
    };
    FENCES.iter().find(|(pattern, _)| matches(pattern)).map(|(_, inside)| *inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_is_by_name_or_by_its_beginning() {
        assert_eq!(fence("sqlx"), Some(&["store"][..]));
        assert_eq!(fence("opentelemetry_sdk"), Some(&["chassis"][..]));
        assert_eq!(fence("config-of-another"), None);
        assert_eq!(fence("serde"), None);
    }
}
