//! The section `admin`.

use std::net::{Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::Deserialize;

/// The section `admin`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// Where it listens.
    #[schemars(with = "String", extend("format" = "socket-address"))]
    pub addr: SocketAddr,
    /// Whether CPU profiles can be taken there.
    pub profile: bool,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { addr: (Ipv4Addr::UNSPECIFIED, 9090).into(), profile: false }
    }
}
