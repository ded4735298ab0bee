//! What can be wrong with the files of `http.tls`.

use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub(in crate::accept) enum TlsFault {
    #[error("is missing: the rest of http.tls is of no use without it")]
    Missing(&'static str),
    #[error("{} cannot be read", .1.display())]
    Unreadable(&'static str, PathBuf, #[source] io::Error),
    #[error("{} has no certificate in PEM", .1.display())]
    NoCertificate(&'static str, PathBuf),
    #[error("{} has no private key in PEM; an encrypted one cannot be used", .0.display())]
    NoKey(PathBuf),
    #[error("{} cannot be used with its key", .0.display())]
    Unusable(PathBuf, #[source] rustls::Error),
    #[error("{} has an authority that cannot be used", .0.display())]
    Authority(PathBuf, #[source] rustls::server::VerifierBuilderError),
}

impl TlsFault {
    /// The key of the configuration that is at fault.
    pub(in crate::accept) const fn key(&self) -> &'static str {
        match self {
            Self::Missing(key) | Self::Unreadable(key, ..) | Self::NoCertificate(key, _) => key,
            Self::NoKey(_) => KEY,
            Self::Unusable(..) => CERTIFICATE,
            Self::Authority(..) => CLIENT_CA,
        }
    }
}

pub(super) const CERTIFICATE: &str = "http.tls.certificate";
pub(super) const KEY: &str = "http.tls.key";
pub(super) const CLIENT_CA: &str = "http.tls.client_ca";
