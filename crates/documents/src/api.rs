//! The services' tags, and the version of the API.

/// The tag of what `ws-gateway` serves.
pub const GATEWAY: &str = "ws-gateway";

/// The tag of what `ingest` serves.
pub const INGEST: &str = "ingest";

/// The version of both documents: that of the API, not of the software.
pub(crate) const VERSION: &str = "1.0.0";
