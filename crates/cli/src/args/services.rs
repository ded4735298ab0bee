//! Where the services are, and which certificates are trusted.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Clone, Args)]
pub(crate) struct Ingest {
    /// URL of ingest
    #[arg(
        long = "ingest",
        env = "ROWCAST_INGEST_URL",
        default_value = "http://127.0.0.1:8081",
        value_name = "URL"
    )]
    pub(crate) url: String,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Gateway {
    /// URL of the gateway
    #[arg(
        id = "gateway",
        long,
        env = "ROWCAST_GATEWAY_URL",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL"
    )]
    pub(crate) url: String,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Trust {
    /// PEM file of certificates to trust in addition to the system's, for https:// and wss://
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}
