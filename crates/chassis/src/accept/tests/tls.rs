//! The port under TLS.

mod handshakes;
mod rotation;
mod sockets;

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::accept::TlsConfig;

const REQUEST: &[u8] = b"GET /hello/you HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// A certificate for `localhost`, with its key.
struct Pair {
    certificate: String,
    key: String,
}

impl Pair {
    fn new() -> Self {
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Self { certificate: signed.cert.pem(), key: signed.signing_key.serialize_pem() }
    }

    /// Who trusts it.
    fn client(&self) -> Client {
        Client {
            trusts: self.certificate.clone(),
            protocols: Vec::new(),
            versions: rustls::ALL_VERSIONS.to_vec(),
            own: None,
        }
    }
}

/// An authority of clients.
struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn sign(&self) -> Pair {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["device".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// The files of a port.
struct Folder(TempDir);

impl Folder {
    fn with(pair: &Pair) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write(pair);
        folder
    }

    fn write(&self, pair: &Pair) {
        std::fs::write(self.path("tls.crt"), &pair.certificate).unwrap();
        std::fs::write(self.path("tls.key"), &pair.key).unwrap();
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn config(&self) -> HttpConfig {
        let tls = TlsConfig {
            certificate: Some(self.path("tls.crt")),
            key: Some(self.path("tls.key")),
            client_ca: None,
        };
        HttpConfig { tls, ..HttpConfig::default() }
    }

    async fn rig(&self, router: Router, limits: Limits) -> Rig {
        Rig::configured(router, &self.config(), limits).await
    }
}

struct Client {
    trusts: String,
    protocols: Vec<&'static str>,
    versions: Vec<&'static SupportedProtocolVersion>,
    own: Option<Pair>,
}

impl Client {
    fn speaking(self, protocols: &[&'static str]) -> Self {
        Self { protocols: protocols.to_vec(), ..self }
    }

    fn config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.trusts.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match &self.own {
            Some(Pair { certificate, key }) => {
                let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self.protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    async fn connect(&self, rig: &Rig) -> std::io::Result<TlsStream<TcpStream>> {
        let connector = TlsConnector::from(Arc::new(self.config()));
        let name = "localhost".try_into().unwrap();
        timeout(LONG, connector.connect(name, rig.connect().await)).await.expect("a handshake in time")
    }

    /// The response to a request on a connection of its own.
    async fn request(&self, rig: &Rig, request: &[u8]) -> String {
        let mut stream = self.connect(rig).await.unwrap();
        stream.write_all(request).await.unwrap();
        to_end(&mut stream).await
    }
}
