//! The section `redis` of a service.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates, TlsMode,
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::{
    connect::{Endpoint, Options, Sentinels},
    fault::Fault,
};

/// The section `redis` of a service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedisConfig {
    /// `redis://user:password@host:6379/0`
    #[schemars(with = "String")]
    pub url: SecretString,
    /// The user of an access list, where it is not part of the URL.
    #[serde(default)]
    pub user: Option<String>,
    /// The password, where it is not part of the URL: as it is, nothing in it is encoded.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub password: Option<SecretString>,
    /// What the keys begin with.
    #[serde(default = "default_prefix")]
    pub prefix: String,
    /// `host:port` of each Sentinel, `rediss://host:port` for TLS; with any, the URL's host is not used.
    #[serde(default)]
    pub sentinels: Vec<String>,
    /// The name that the Sentinels know the master by.
    #[serde(default)]
    pub master: Option<String>,
    /// The user that the Sentinels themselves know.
    #[serde(default)]
    pub sentinel_user: Option<String>,
    /// The password of the Sentinels themselves, if they have one; the master's is `password`, or in the URL.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub sentinel_password: Option<SecretString>,
    /// A file of certificates in PEM that are trusted beside the system's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// A file with the certificate that the server asks for, in PEM.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// A file with its key.
    #[serde(default)]
    pub key: Option<PathBuf>,
}

fn default_prefix() -> String {
    "rowcast".to_owned()
}

impl RedisConfig {
    /// A single server by its URL.
    pub fn at(url: &str, prefix: &str) -> Self {
        Self {
            url: url.into(),
            prefix: prefix.to_owned(),
            sentinels: Vec::new(),
            master: None,
            sentinel_password: None,
            user: None,
            password: None,
            sentinel_user: None,
            ca: None,
            certificate: None,
            key: None,
        }
    }

    /// How to reach it.
    ///
    /// # Errors
    /// The first of the faults.
    pub fn options(&self) -> Result<Options, Fault> {
        self.check().map_err(|mut faults| faults.swap_remove(0))
    }

    /// All faults.
    pub fn faults(&self) -> Vec<Fault> {
        self.check().err().unwrap_or_default()
    }

    /// The options, or at least one fault.
    fn check(&self) -> Result<Options, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut note = |fault| faults.push(fault);
        let certificates = self.certificates().map_err(&mut note).ok();
        let url = self.client(certificates.as_ref()).map_err(&mut note).ok();
        let sentinels: Option<Vec<_>> = self
            .sentinels
            .iter()
            .map(|text| sentinel(text, certificates.as_ref()).map_err(&mut note).ok())
            .collect();
        match (&self.master, self.sentinels.is_empty()) {
            (None, false) => note(Fault::NoMaster),
            (Some(_), true) => note(Fault::NoSentinels),
            _ => {}
        }
        let key = if self.ca.is_some() { "redis.ca" } else { "redis.certificate" };
        let is_for_tls = self.ca.is_some() || self.certificate.is_some();
        if let (true, Some(url), Some(sentinels)) = (is_for_tls, &url, &sentinels)
            && !sentinels.iter().chain([url.get_connection_info().addr()]).any(is_tls)
        {
            note(Fault::WithoutTls(key));
        }
        let (Some(url), Some(sentinels), true) = (url, sentinels, faults.is_empty()) else {
            return Err(faults);
        };
        let endpoint = match &self.master {
            Some(master) => {
                Endpoint::Sentinels(self.sentinels(url, sentinels, master, certificates.flatten()).into())
            }
            None => Endpoint::Direct(Box::new(url)),
        };
        Ok(Options::new(endpoint, &self.prefix))
    }

    fn sentinels(
        &self,
        url: Client,
        addresses: Vec<ConnectionAddr>,
        master: &str,
        certificates: Option<TlsCertificates>,
    ) -> Sentinels {
        let info = url.get_connection_info();
        Sentinels {
            addresses,
            user: self.sentinel_user.clone(),
            password: self.sentinel_password.clone(),
            master: master.to_owned(),
            of_master: info.redis_settings().clone(),
            tls: is_tls(info.addr()).then_some(TlsMode::Secure),
            certificates,
        }
    }

    /// The server of the URL, with the user and password of the configuration.
    fn client(&self, certificates: Option<&Option<TlsCertificates>>) -> Result<Client, Fault> {
        let info = self.url.expose_secret().into_connection_info().map_err(|_| Fault::Url)?;
        let mut settings = info.redis_settings().clone();
        if let Some(user) = &self.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password.expose_secret());
        }
        client(info.set_redis_settings(settings), certificates).map_err(|()| {
            match (&self.certificate, &self.key) {
                (Some(certificate), Some(key)) => Fault::Client(certificate.clone(), key.clone()),
                _ => Fault::Url,
            }
        })
    }

    /// The authority of the server's certificate and our own certificate; `None` where only the system's authorities are
    /// needed.
    fn certificates(&self) -> Result<Option<TlsCertificates>, Fault> {
        let (root_cert, client_tls) = (self.roots()?, self.own()?);
        let any = root_cert.is_some() || client_tls.is_some();
        Ok(any.then_some(TlsCertificates { client_tls, root_cert }))
    }

    fn own(&self) -> Result<Option<ClientTlsConfig>, Fault> {
        let (certificate, key) = match (&self.certificate, &self.key) {
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(Fault::Unpaired("redis.key")),
            (None, Some(_)) => return Err(Fault::Unpaired("redis.certificate")),
            (Some(certificate), Some(key)) => (certificate, key),
        };
        let client_cert = read("redis.certificate", certificate)?;
        Ok(Some(ClientTlsConfig { client_cert, client_key: read("redis.key", key)? }))
    }

    /// The file's certificates and the system's, since the client trusts only those that it is given.
    fn roots(&self) -> Result<Option<Vec<u8>>, Fault> {
        let Some(path) = &self.ca else { return Ok(None) };
        let text = read("redis.ca", path)?;
        let own: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        let own = own.ok().filter(|own| !own.is_empty() && own.iter().all(is_usable));
        let own = own.ok_or_else(|| Fault::Ca(path.clone()))?;
        // a system may have some that rustls does not support
        let system = rustls_native_certs::load_native_certs().certs.into_iter().filter(is_usable);
        let pem = own.into_iter().chain(system).map(|certificate| pem(&certificate)).collect::<String>();
        Ok(Some(pem.into_bytes()))
    }
}

impl Options {
    /// The server at a URL; the keys begin with `{prefix}:`.
    ///
    /// # Errors
    /// When the URL is not one of Redis.
    pub fn at(url: &str, prefix: &str) -> Result<Self, Fault> {
        RedisConfig::at(url, prefix).options()
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, Fault> {
    fs::read(path).map_err(|why| Fault::File { key, path: path.to_owned(), why })
}

/// With the certificates if the URL is for TLS.
fn client(info: ConnectionInfo, certificates: Option<&Option<TlsCertificates>>) -> Result<Client, ()> {
    let client = match certificates {
        Some(Some(certificates)) if is_tls(info.addr()) => Client::build_with_tls(info, certificates.clone()),
        _ => Client::open(info),
    };
    client.map_err(|_| ())
}

fn sentinel(text: &str, certificates: Option<&Option<TlsCertificates>>) -> Result<ConnectionAddr, Fault> {
    let url = if text.contains("://") { text.to_owned() } else { format!("redis://{text}") };
    let has_port =
        url.rsplit_once(':').is_some_and(|(_, port)| port.trim_end_matches('/').parse::<u16>().is_ok());
    let info = url.into_connection_info().ok().filter(|_| has_port && !text.contains('@'));
    let client = info.and_then(|info| client(info, certificates).ok());
    let client =
        client.ok_or_else(|| Fault::Sentinel(text.rsplit('@').next().unwrap_or_default().to_owned()))?;
    Ok(client.get_connection_info().addr().clone())
}

const fn is_tls(address: &ConnectionAddr) -> bool {
    matches!(address, ConnectionAddr::TcpTls { .. })
}

fn is_usable(certificate: &CertificateDer<'_>) -> bool {
    RootCertStore::empty().add(certificate.clone()).is_ok()
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(certificate))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn with(sentinels: &[&str], master: Option<&str>) -> RedisConfig {
        RedisConfig {
            sentinels: sentinels.iter().map(|text| (*text).to_owned()).collect(),
            master: master.map(str::to_owned),
            ..RedisConfig::at("redis://:secret@host/3", "rowcast")
        }
    }

    #[track_caller]
    fn check(config: &RedisConfig, keys: &[&str]) {
        let faults = config.faults();
        assert_eq!(faults.iter().map(Fault::key).collect::<Vec<_>>(), keys, "{faults:?}");
        assert!(!faults.iter().any(|fault| fault.to_string().contains("secret")), "{faults:?}");
        assert_eq!(config.options().is_ok(), keys.is_empty());
    }

    #[test]
    fn sentinels_and_the_master_s_name_need_each_other() {
        check(&with(&[], None), &[]);
        check(&with(&["a:26379", "rediss://b:26379"], Some("m")), &[]);
        check(&with(&["a:26379"], None), &["redis.master"]);
        check(&with(&[], Some("m")), &["redis.sentinels"]);
    }

    #[test]
    fn every_fault_is_reported_without_secrets() {
        for sentinel in ["a", "a:b", "u:secret@b:1", "http://b:1"] {
            let bad = RedisConfig { url: "http://:secret@x".into(), ..with(&[sentinel], None) };
            check(&bad, &["redis.url", "redis.sentinels", "redis.master"]);
        }
    }

    #[test]
    fn a_ca_file_must_exist_hold_a_certificate_and_be_for_tls() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let config = |url: &str, path: &std::path::Path| RedisConfig {
            ca: Some(path.to_owned()),
            ..RedisConfig::at(url, "rowcast")
        };
        check(&config("rediss://x", std::path::Path::new("/no/such/file")), &["redis.ca"]);
        check(&config("rediss://x", file.path()), &["redis.ca"]);
        let made = rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap();
        file.write_all(made.cert.pem().as_bytes()).unwrap();
        check(&config("rediss://x", file.path()), &[]);
        check(&config("redis://x", file.path()), &["redis.ca"]);
    }

    #[test]
    fn a_certificate_has_its_key_and_is_for_tls() {
        let mut files = [tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap()];
        let made = rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap();
        let [certificate, key] = files.each_ref().map(|file| Some(file.path().to_owned()));
        let of = |url: &str, certificate: &Option<PathBuf>, key: &Option<PathBuf>| RedisConfig {
            certificate: certificate.clone(),
            key: key.clone(),
            ..RedisConfig::at(url, "rowcast")
        };
        check(&of("rediss://x", &certificate, &None), &["redis.key"]);
        check(&of("rediss://x", &None, &key), &["redis.certificate"]);
        check(&of("rediss://x", &certificate, &Some("/no/such/file".into())), &["redis.key"]);
        check(&of("rediss://x", &certificate, &key), &["redis.certificate"]);
        files[0].write_all(made.cert.pem().as_bytes()).unwrap();
        files[1].write_all(made.signing_key.serialize_pem().as_bytes()).unwrap();
        check(&of("rediss://x", &certificate, &key), &[]);
        check(&of("redis://x", &certificate, &key), &["redis.certificate"]);
    }
}
