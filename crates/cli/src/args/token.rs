//! The command line of `token`.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{format::Format, keys::span};

#[derive(Debug, Args)]
pub(crate) struct Token {
    /// The services' file of issuers; one of them must have a `secret`
    #[arg(long, env = "ROWCAST_AUTH__ISSUERS_FILE", value_name = "FILE")]
    pub(crate) issuers_file: PathBuf,
    /// The issuer, if several have a secret
    #[arg(long, value_name = "ISSUER")]
    pub(crate) issuer: Option<String>,
    /// Whom it is for (`sub`)
    #[arg(long)]
    pub(crate) subject: String,
    /// A sensor, or a `prefix*`, that it may read; may be repeated
    #[arg(long = "read", value_name = "SENSOR")]
    pub(crate) read: Vec<String>,
    /// A sensor, or a `prefix*`, that it may write; may be repeated
    #[arg(long = "write", value_name = "SENSOR")]
    pub(crate) write: Vec<String>,
    /// For how long: 30m, 12h; at most 30d
    #[arg(long = "for", id = "for", default_value = "1h", value_parser = span, value_name = "TIME")]
    pub(crate) life: Duration,
    /// `json` prints an object
    #[arg(short, long, default_value = "text")]
    pub(crate) output: Format,
}
