//! Services under TLS: an authority, the certificates that it signs for them, and clients that trust it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::{Connector, client_async_tls_with_config, tungstenite::client::IntoClientRequest};
use wire::SUBPROTOCOL;

use crate::client::Socket;

/// An authority with the certificate of a service, in files.
#[derive(Debug)]
pub struct Certificates {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Certificates {
    /// A new authority, and a certificate that expires in this year.
    pub fn until(year: i32) -> Result<Self> {
        let folder = TempDir::with_prefix("rowcast-tls-")?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "an authority for tests");
        let key = KeyPair::generate()?;
        std::fs::write(folder.path().join("ca.crt"), params.self_signed(&key)?.pem())?;
        let certificates = Self { folder, issuer: Issuer::new(params, key) };
        certificates.renew(year)?;
        Ok(certificates)
    }

    /// Signs another certificate, with another key, and puts it in the place of the one before.
    pub fn renew(&self, year: i32) -> Result<()> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        params.use_authority_key_identifier_extension = true;
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate()?;
        std::fs::write(self.certificate(), params.signed_by(&key, &self.issuer)?.pem())?;
        std::fs::write(self.key(), key.serialize_pem())?;
        Ok(())
    }

    /// The authority's own certificate.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// The service's certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("tls.crt")
    }

    /// Its key.
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("tls.key")
    }

    /// Signs a certificate for a client of this name, and returns the files of it and of its key.
    pub fn client_of(&self, name: &str) -> Result<(PathBuf, PathBuf)> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.use_authority_key_identifier_extension = true;
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_after = date_time_ymd(2040, 1, 1);
        let key = KeyPair::generate()?;
        let file = |extension: &str| self.folder.path().join(format!("{name}.{extension}"));
        std::fs::write(file("crt"), params.signed_by(&key, &self.issuer)?.pem())?;
        std::fs::write(file("key"), key.serialize_pem())?;
        Ok((file("crt"), file("key")))
    }

    /// The environment of services that use them, for [`Stack::start_with`](crate::Stack::start_with).
    pub fn env(&self, services: &[&str]) -> Vec<(String, String)> {
        let variable = |service: &str, name: &str, path: &Path| {
            (format!("{service}:ROWCAST_HTTP__TLS__{name}"), path.display().to_string())
        };
        let of = |service: &&str| {
            [variable(service, "CERTIFICATE", &self.certificate()), variable(service, "KEY", &self.key())]
        };
        services.iter().flat_map(of).collect()
    }

    /// What a client is configured with that trusts the authority.
    pub fn client(&self) -> Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.authority()).context("the authority")?)?;
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        Ok(config.with_no_client_auth())
    }

    /// A v1 connection, before its `hello`.
    pub async fn connect_v1(&self, addr: SocketAddr) -> Result<Socket> {
        self.connect_over(TcpStream::connect(addr).await?).await
    }

    /// The same over an open connection.
    pub async fn connect_over(&self, stream: TcpStream) -> Result<Socket> {
        let mut request = "wss://localhost/ws/sensors/".into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", SUBPROTOCOL.parse()?);
        let connector = Connector::Rustls(Arc::new(self.client()?));
        Ok(client_async_tls_with_config(request, stream, None, Some(connector)).await?.0)
    }

    /// The first bytes of a client's handshake.
    pub fn client_hello(&self) -> Result<Vec<u8>> {
        let mut session = ClientConnection::new(Arc::new(self.client()?), "localhost".try_into()?)?;
        let mut hello = Vec::new();
        session.write_tls(&mut hello)?;
        Ok(hello)
    }
}
