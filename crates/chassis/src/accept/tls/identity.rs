//! The certificate of the port with its key, as its files have them.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::fault::{CERTIFICATE, CLIENT_CA, KEY, TlsFault};

/// Far more than a chain or a list of authorities has.
const MAX_BYTES: u64 = 1 << 20;

/// By ALPN (RFC 7301 §6).
pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// Where the files are.
#[derive(Debug, Clone)]
pub(in crate::accept) struct Paths {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) client_ca: Option<PathBuf>,
}

/// What they hold. It is never shown: one is a key.
#[derive(PartialEq, Eq)]
pub(super) struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

/// What the port proves itself by.
pub(super) struct Identity {
    /// For a client that may speak HTTP/2.
    pub(super) http2: Arc<ServerConfig>,
    /// For one that may not.
    pub(super) http1: Arc<ServerConfig>,
    /// When the first certificate of the chain expires, in seconds since 1970.
    pub(super) expires_at: i64,
}

impl Paths {
    pub(super) fn read(&self) -> Result<Files, TlsFault> {
        let client_ca = self.client_ca.as_ref().map(|path| read(CLIENT_CA, path)).transpose()?;
        Ok(Files {
            certificate: read(CERTIFICATE, &self.certificate)?,
            key: read(KEY, &self.key)?,
            client_ca,
        })
    }

    /// Makes an identity of what they hold.
    pub(super) fn identity(&self, files: &Files) -> Result<Identity, TlsFault> {
        let no_certificate = || TlsFault::NoCertificate(CERTIFICATE, self.certificate.clone());
        let chain = certificates(&files.certificate).ok_or_else(no_certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&files.key).map_err(|_| TlsFault::NoKey(self.key.clone()))?;
        let expires_at = chain.iter().map(expiry).min().flatten().ok_or_else(no_certificate)?;
        let clients = match self.client_ca.as_deref().zip(files.client_ca.as_deref()) {
            Some((path, pem)) => clients(path, pem)?,
            None => WebPkiClientVerifier::no_client_auth(),
        };
        let unusable = |fault| TlsFault::Unusable(self.certificate.clone(), fault);
        let mut http1 = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, key)
            .map_err(unusable)?;
        let mut http2 = http1.clone();
        http2.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
        http1.alpn_protocols = vec![HTTP1.to_vec()];
        Ok(Identity { http2: Arc::new(http2), http1: Arc::new(http1), expires_at })
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsFault> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
        io::Result::Ok(bytes)
    };
    read().map_err(|fault| TlsFault::Unreadable(key, path.to_owned(), fault))
}

/// At least one, and all of them valid PEM.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()?;
    (!certificates.is_empty()).then_some(certificates)
}

fn expiry(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(parsed.validity().not_after.timestamp())
}

fn clients(path: &Path, pem: &[u8]) -> Result<Arc<dyn ClientCertVerifier>, TlsFault> {
    let no_certificate = || TlsFault::NoCertificate(CLIENT_CA, path.to_owned());
    let mut authorities = RootCertStore::empty();
    for certificate in certificates(pem).ok_or_else(no_certificate)? {
        authorities.add(certificate).map_err(|_| no_certificate())?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider)
        .build()
        .map_err(|fault| TlsFault::Authority(path.to_owned(), fault))
}
