//! The section `http.tls`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::fault::TlsFault;
use super::identity::Paths;

/// The section `http.tls`. Without a certificate the port speaks no TLS.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// A file with the certificate of the port, behind it those of its authorities, in PEM.
    pub certificate: Option<PathBuf>,
    /// A file with its key, in PEM.
    pub key: Option<PathBuf>,
    /// A file with the authorities of clients, in PEM: a client then needs a certificate of one of them.
    pub client_ca: Option<PathBuf>,
}

impl TlsConfig {
    /// The files, if there is a certificate.
    ///
    /// # Errors
    /// When one is given without the other.
    pub(in crate::accept) fn paths(&self) -> Result<Option<Paths>, TlsFault> {
        match (&self.certificate, &self.key, &self.client_ca) {
            (None, None, None) => Ok(None),
            (Some(certificate), Some(key), client_ca) => Ok(Some(Paths {
                certificate: certificate.clone(),
                key: key.clone(),
                client_ca: client_ca.clone(),
            })),
            (Some(_), None, _) => Err(TlsFault::Missing("http.tls.key")),
            (None, ..) => Err(TlsFault::Missing("http.tls.certificate")),
        }
    }

    /// Reads the files, to tell whether they can be used.
    pub(in crate::accept) fn check(&self) -> Result<(), TlsFault> {
        self.paths()?.map_or(Ok(()), |paths| paths.identity(&paths.read()?).map(drop))
    }
}
