//! Properties of the image, however it is built.

use super::programs;

/// The user whom the image runs as, by number, so that a cluster can see that it is not root.
pub(crate) const USER: &str = "65532:65532";
/// The default command.
pub(crate) const ENTRYPOINT: &str = "/usr/local/bin/rowcast";
/// The public and the admin port.
pub(crate) const PORTS: [u16; 2] = [8080, 9090];
/// The labels that every version has.
pub(crate) const LABELS: [(&str, &str); 3] = [
    ("title", "rowcast"),
    ("description", "Carries rows from Postgres to every live client"),
    ("licenses", "Apache-2.0"),
];
/// The search path of programs.
pub(crate) const PATH: &str = "/usr/local/bin";

/// The layer of libraries and certificates.
pub(super) const SYSTEM_LAYER: &str = "system";
/// The layer of the built page.
pub(super) const PAGE_LAYER: &str = "page";

/// The layers' names, the one that changes least first.
pub(crate) fn layers() -> impl Iterator<Item = &'static str> {
    [SYSTEM_LAYER, PAGE_LAYER].into_iter().chain(programs::SHIPPED)
}
