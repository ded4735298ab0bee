//! What a service runs on.

use instruments::Registry;

use crate::admin::config::AdminConfig;
use crate::life::Life;
use crate::readiness::Readiness;
use crate::spans::Tracer;

/// What the service's `run` gets beside its configuration.
pub struct Service {
    /// Its name, as in logs, traces and `/version`.
    pub name: &'static str,
    /// The release.
    pub version: &'static str,
    /// The section `admin`.
    pub admin: AdminConfig,
    /// Its tasks and its shutdown.
    pub life: Life,
    /// Where its metrics are registered.
    pub registry: Registry,
    /// Its conditions.
    pub readiness: Readiness,
    /// Begins spans of what it does for several requests at once.
    pub tracer: Tracer,
}
