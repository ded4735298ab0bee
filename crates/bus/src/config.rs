//! The section `redis` of a service, and what may be wrong with it.

use std::{fs, path::PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use redis::{Client, ConnectionAddr, IntoConnectionInfo, TlsCertificates, TlsMode};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use crate::connect::{Options, Sentinels, Way};

/// The section `redis` of a service.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisConfig {
    /// `redis://user:password@host:6379/0`
    pub url: SecretString,
    /// What the keys begin with.
    #[serde(default = "default_prefix")]
    pub prefix: String,
    /// `host:port` of each Sentinel, `rediss://host:port` for TLS; with any, the URL's host is not used.
    #[serde(default, deserialize_with = "list")]
    pub sentinels: Vec<String>,
    /// The name that the Sentinels know the master by.
    #[serde(default)]
    pub master: Option<String>,
    /// What the Sentinels ask for, if anything; the master's password stands in the URL.
    #[serde(default)]
    pub sentinel_password: Option<SecretString>,
    /// A file of certificates in PEM that are believed beside the system's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

fn default_prefix() -> String {
    "rowcast".to_owned()
}

/// A list of strings, which the environment gives as `a,b,c`.
fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum List {
        Text(String),
        Items(Vec<String>),
    }
    Ok(match List::deserialize(from)? {
        List::Items(items) => items,
        List::Text(text) => {
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
        }
    })
}

/// Something that is wrong with the section.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The URL is not one of Redis.
    #[error("not a Redis URL (redis://user:password@host:6379/0, or rediss:// for TLS)")]
    Url,
    /// Sentinels that do not know which master is meant.
    #[error("is missing: the name that the Sentinels know the master by")]
    NoMaster,
    /// A master that nobody could name.
    #[error("is missing: host:port of each Sentinel that knows redis.master")]
    NoSentinels,
    /// A Sentinel's address.
    #[error("not host:port (or rediss://host:port): {0}")]
    Sentinel(String),
    /// A file that cannot be read.
    #[error("{} cannot be read: {}", .path.display(), .why)]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// A file without certificates.
    #[error("{} holds no certificate in PEM that can be used", .0.display())]
    Ca(PathBuf),
    /// Certificates that nothing would ask for.
    #[error("is for TLS only: write rediss:// in redis.url, or before a Sentinel")]
    CaWithoutTls,
}

impl Fault {
    /// The key that is at fault.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Url => "redis.url",
            Self::NoMaster => "redis.master",
            Self::NoSentinels | Self::Sentinel(_) => "redis.sentinels",
            Self::CaFile { .. } | Self::Ca(_) | Self::CaWithoutTls => "redis.ca",
        }
    }
}

impl RedisConfig {
    /// One server without more ado.
    pub fn at(url: &str, prefix: &str) -> Self {
        Self {
            url: url.into(),
            prefix: prefix.to_owned(),
            sentinels: Vec::new(),
            master: None,
            sentinel_password: None,
            ca: None,
        }
    }

    /// How to reach it.
    ///
    /// # Errors
    /// The first of the faults.
    pub fn options(&self) -> Result<Options, Fault> {
        self.check().map_err(|mut faults| faults.swap_remove(0))
    }

    /// Everything that is wrong.
    pub fn faults(&self) -> Vec<Fault> {
        self.check().err().unwrap_or_default()
    }

    /// The options, or at least one fault.
    fn check(&self) -> Result<Options, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut note = |fault| faults.push(fault);
        let roots = self.roots().map_err(&mut note).ok();
        let url = client(self.url.expose_secret(), roots.as_ref()).ok_or(Fault::Url).map_err(&mut note).ok();
        let sentinels: Option<Vec<_>> = self
            .sentinels
            .iter()
            .map(|text| sentinel(text, roots.as_ref()).map_err(&mut note).ok())
            .collect();
        match (&self.master, self.sentinels.is_empty()) {
            (None, false) => note(Fault::NoMaster),
            (Some(_), true) => note(Fault::NoSentinels),
            _ => {}
        }
        if let (true, Some(url), Some(sentinels)) = (self.ca.is_some(), &url, &sentinels)
            && !sentinels.iter().chain([url.get_connection_info().addr()]).any(is_tls)
        {
            note(Fault::CaWithoutTls);
        }
        let (Some(url), Some(sentinels), true) = (url, sentinels, faults.is_empty()) else {
            return Err(faults);
        };
        let way = match &self.master {
            Some(master) => Way::Sentinels(self.sentinels(url, sentinels, master, roots.flatten()).into()),
            None => Way::Direct(Box::new(url)),
        };
        Ok(Options::new(way, &self.prefix))
    }

    fn sentinels(
        &self,
        url: Client,
        addresses: Vec<ConnectionAddr>,
        master: &str,
        roots: Option<TlsCertificates>,
    ) -> Sentinels {
        let info = url.get_connection_info();
        Sentinels {
            addresses,
            password: self.sentinel_password.clone(),
            master: master.to_owned(),
            of_master: info.redis_settings().clone(),
            tls: is_tls(info.addr()).then_some(TlsMode::Secure),
            roots,
        }
    }

    /// The file's certificates and the system's, for the client believes only those that it is given.
    fn roots(&self) -> Result<Option<TlsCertificates>, Fault> {
        let Some(path) = &self.ca else { return Ok(None) };
        let text = fs::read(path).map_err(|why| Fault::CaFile { path: path.clone(), why })?;
        let own: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        let own = own.ok().filter(|own| !own.is_empty() && own.iter().all(is_usable));
        let own = own.ok_or_else(|| Fault::Ca(path.clone()))?;
        // a system may hold some that rustls does not understand
        let system = rustls_native_certs::load_native_certs().certs.into_iter().filter(is_usable);
        let pem = own.into_iter().chain(system).map(|certificate| pem(&certificate)).collect::<String>();
        Ok(Some(TlsCertificates { client_tls: None, root_cert: Some(pem.into_bytes()) }))
    }
}

/// What a URL names; with more roots if it is for TLS.
fn client(url: &str, roots: Option<&Option<TlsCertificates>>) -> Option<Client> {
    let info = url.into_connection_info().ok()?;
    match roots {
        Some(Some(roots)) if is_tls(info.addr()) => Client::build_with_tls(info, roots.clone()).ok(),
        _ => Client::open(info).ok(),
    }
}

fn sentinel(text: &str, roots: Option<&Option<TlsCertificates>>) -> Result<ConnectionAddr, Fault> {
    let url = if text.contains("://") { text.to_owned() } else { format!("redis://{text}") };
    let has_port =
        url.rsplit_once(':').is_some_and(|(_, port)| port.trim_end_matches('/').parse::<u16>().is_ok());
    let client = client(&url, roots).filter(|_| has_port && !url.contains('@'));
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
    fn sentinels_need_the_master_s_name_and_it_needs_them() {
        check(&with(&[], None), &[]);
        check(&with(&["a:26379", "rediss://b:26379"], Some("m")), &[]);
        check(&with(&["a:26379"], None), &["redis.master"]);
        check(&with(&[], Some("m")), &["redis.sentinels"]);
    }

    #[test]
    fn every_fault_is_told_and_no_secret() {
        for sentinel in ["a", "a:b", "u:secret@b:1", "http://b:1"] {
            let bad = RedisConfig { url: "http://:secret@x".into(), ..with(&[sentinel], None) };
            check(&bad, &["redis.url", "redis.sentinels", "redis.master"]);
        }
    }

    #[test]
    fn a_ca_must_be_there_hold_a_certificate_and_be_for_tls() {
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
    fn the_environment_gives_sentinels_with_commas() {
        let read = |sentinels: serde_json::Value| {
            let section = serde_json::json!({"url": "redis://x", "sentinels": sentinels});
            serde_json::from_value::<RedisConfig>(section).unwrap().sentinels
        };
        assert_eq!(read("a:1, b:2,".into()), ["a:1", "b:2"]);
        assert_eq!(read(vec!["a:1", "b:2"].into()), ["a:1", "b:2"]);
    }
}
