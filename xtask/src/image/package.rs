//! A package of the system that the image's files come from.

/// As a package manager knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) architecture: String,
    /// Its entry in dpkg's status.
    pub(super) status: String,
}
