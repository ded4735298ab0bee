//! The faults of the section `database`.

use std::path::PathBuf;

/// A fault of the section.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Neither a URL nor a host.
    #[error("is missing, and so is database.host")]
    Missing,
    /// A URL and parts of one.
    #[error("is part of a URL: set it in database.url, or set database.host instead of the URL")]
    PartOfUrl(&'static str),
    /// The URL is not one of Postgres.
    #[error("not a Postgres URL (postgres://user:password@host:5432/database)")]
    Url,
    /// Not as many ports as hosts.
    #[error("needs one port for all hosts, or one for each")]
    Ports,
    /// An unsupported `target_session_attrs`.
    #[error("target_session_attrs must be read-write, primary or any")]
    Target,
    /// A pooler before a service that needs a session of its own.
    #[error(
        "must not be transaction here: this service listens or holds locks, in a session of its own; connect past the pooler"
    )]
    Pooler,
    /// An unknown TLS mode.
    #[error("must be disable, allow, prefer, require, verify-ca or verify-full")]
    SslMode,
    /// A certificate without its key, or a key without its certificate.
    #[error("is missing: a certificate and its key belong together")]
    Unpaired(&'static str),
    /// A file that cannot be read.
    #[error("{} cannot be read: {why}", .path.display())]
    File {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        why: std::io::Error,
    },
}

impl Fault {
    /// The key that is at fault.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Missing | Self::Url | Self::Ports | Self::Target => "database.url",
            Self::Pooler => "database.pooler",
            Self::SslMode => "database.sslmode",
            Self::PartOfUrl(key) | Self::Unpaired(key) | Self::File { key, .. } => key,
        }
    }
}
