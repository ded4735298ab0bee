//! The faults of the section `redis`.

use std::path::PathBuf;

/// A fault of the section.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The URL is not one of Redis.
    #[error("not a Redis URL (redis://user:password@host:6379/0, or rediss:// for TLS)")]
    Url,
    /// Sentinels without the name of a master.
    #[error("is missing: the name that the Sentinels know the master by")]
    NoMaster,
    /// The name of a master without Sentinels.
    #[error("is missing: host:port of each Sentinel that knows redis.master")]
    NoSentinels,
    /// A Sentinel's address.
    #[error("not host:port (or rediss://host:port): {0}")]
    Sentinel(String),
    /// A certificate without its key, or a key without its certificate.
    #[error("is missing: a certificate and its key belong together")]
    Unpaired(&'static str),
    /// A file that cannot be read.
    #[error("{} cannot be read: {}", .path.display(), .why)]
    File {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        why: std::io::Error,
    },
    /// A file without certificates.
    #[error("{} holds no certificate in PEM that can be used", .0.display())]
    Ca(PathBuf),
    /// Certificates without a TLS connection.
    #[error("is for TLS only: write rediss:// in redis.url, or before a Sentinel")]
    WithoutTls(&'static str),
    /// A certificate and a key that do not fit together.
    #[error("{} and {} are no certificate and key in PEM that can be used", .0.display(), .1.display())]
    Client(PathBuf, PathBuf),
}

impl Fault {
    /// The key that is at fault.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Url => "redis.url",
            Self::NoMaster => "redis.master",
            Self::NoSentinels | Self::Sentinel(_) => "redis.sentinels",
            Self::Ca(_) => "redis.ca",
            Self::Client(..) => "redis.certificate",
            Self::Unpaired(key) | Self::File { key, .. } | Self::WithoutTls(key) => key,
        }
    }
}
