//! The section `database` of a service, and what may be wrong with it.

use std::{path::PathBuf, str::FromStr};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::Options;

/// The section `database` of a service: a URL, or the parts of one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `postgres://user:password@host:5432/database`: the primary. Only ingest may have a pooler before it.
    pub url: Option<SecretString>,
    /// The host instead of a URL, or the folder of a socket.
    pub host: Option<String>,
    /// The port, with `host`.
    pub port: Option<u16>,
    /// The database, with `host`.
    pub name: Option<String>,
    /// The user, with `host`.
    pub user: Option<String>,
    /// The password, with `host`: as it is, nothing in it is encoded.
    pub password: Option<SecretString>,
    /// `disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`.
    pub sslmode: Option<String>,
    /// A file with the authority that signed the server's certificate, in PEM.
    pub ca: Option<PathBuf>,
    /// A file with the certificate that the server asks for, in PEM.
    pub certificate: Option<PathBuf>,
    /// A file with its key.
    pub key: Option<PathBuf>,
}

/// Something that is wrong with the section.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Neither a URL nor a host.
    #[error("is missing, and so is database.host")]
    Missing,
    /// A URL and parts of one.
    #[error("is part of a URL: set it in database.url, or set database.host instead of the URL")]
    Twice(&'static str),
    /// The URL is not one of Postgres.
    #[error("not a Postgres URL (postgres://user:password@host:5432/database)")]
    Url,
    /// A URL with a choice of hosts.
    #[error("names several hosts: name one that leads to the primary (a Service, a name in DNS, a proxy)")]
    Hosts,
    /// A mode that there is not.
    #[error("must be disable, allow, prefer, require, verify-ca or verify-full")]
    SslMode,
    /// A certificate without its key, or a key without its certificate.
    #[error("is missing: a certificate and its key belong together")]
    Half(&'static str),
    /// A file that cannot be read.
    #[error("{} cannot be read: {why}", .path.display())]
    File {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
}

impl Fault {
    /// The key that is at fault.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Missing | Self::Url | Self::Hosts => "database.url",
            Self::SslMode => "database.sslmode",
            Self::Twice(key) | Self::Half(key) | Self::File { key, .. } => key,
        }
    }
}

impl DatabaseConfig {
    /// What a URL says, and nothing else.
    pub fn at(url: &str) -> Self {
        Self { url: Some(url.into()), ..Self::default() }
    }

    /// How to reach it; `application` is what `pg_stat_activity` shows.
    ///
    /// # Errors
    /// What is wrong with the section.
    pub fn options(&self, application: &str) -> Result<Options, Fault> {
        let pg = match (&self.url, &self.host) {
            (Some(url), _) => self.of_url(url.expose_secret())?,
            (None, Some(host)) => self.of_parts(host),
            (None, None) => return Err(Fault::Missing),
        };
        Ok(Options::of(self.with_tls(pg)?, application))
    }

    fn of_url(&self, url: &str) -> Result<PgConnectOptions, Fault> {
        let parts = [
            ("database.host", self.host.is_some()),
            ("database.port", self.port.is_some()),
            ("database.name", self.name.is_some()),
            ("database.user", self.user.is_some()),
            ("database.password", self.password.is_some()),
        ];
        match parts.into_iter().find(|(_, is_set)| *is_set) {
            Some((key, _)) => Err(Fault::Twice(key)),
            None => read(url),
        }
    }

    fn of_parts(&self, host: &str) -> PgConnectOptions {
        // the file of passwords is for people; a service is told its password
        let pg = PgConnectOptions::new_without_pgpass();
        let pg = if host.starts_with('/') { pg.socket(host) } else { pg.host(unbracketed(host)) };
        let pg = pg
            .port(self.port.unwrap_or(5432))
            .database(self.name.as_deref().unwrap_or("rowcast"))
            .username(self.user.as_deref().unwrap_or("rowcast"));
        match &self.password {
            Some(password) => pg.password(password.expose_secret()),
            None => pg,
        }
    }

    fn with_tls(&self, mut pg: PgConnectOptions) -> Result<PgConnectOptions, Fault> {
        if let Some(path) = readable("database.ca", self.ca.as_ref())? {
            pg = pg.ssl_root_cert(path);
            // an authority is given to be asked, unless somebody says otherwise
            let says = self.url.as_ref().is_some_and(|url| url.expose_secret().contains("sslmode="));
            if !says {
                pg = pg.ssl_mode(PgSslMode::VerifyFull);
            }
        }
        if let Some(mode) = &self.sslmode {
            pg = pg.ssl_mode(PgSslMode::from_str(mode).map_err(|_| Fault::SslMode)?);
        }
        let certificate = readable("database.certificate", self.certificate.as_ref())?;
        match (certificate, readable("database.key", self.key.as_ref())?) {
            (Some(certificate), Some(key)) => Ok(pg.ssl_client_cert(certificate).ssl_client_key(key)),
            (None, None) => Ok(pg),
            (Some(_), None) => Err(Fault::Half("database.key")),
            (None, Some(_)) => Err(Fault::Half("database.certificate")),
        }
    }
}

fn readable<'a>(key: &'static str, path: Option<&'a PathBuf>) -> Result<Option<&'a PathBuf>, Fault> {
    let Some(path) = path else { return Ok(None) };
    std::fs::File::open(path).map_err(|why| Fault::File { key, path: path.clone(), why })?;
    Ok(Some(path))
}

/// What a URL says. The driver keeps the brackets of an address of IPv6, which no resolver knows.
fn read(url: &str) -> Result<PgConnectOptions, Fault> {
    let rest =
        url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://")).ok_or(Fault::Url)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    if hosts.contains(',') {
        return Err(Fault::Hosts);
    }
    let pg = PgConnectOptions::from_str(url).map_err(|_| Fault::Url)?;
    let bare = unbracketed(pg.get_host()).to_owned();
    Ok(if bare == pg.get_host() { pg } else { pg.host(&bare) })
}

fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_fault(config: &DatabaseConfig, key: &str, sentence: &str) {
        let Err(fault) = config.options("") else { panic!("{config:?} is taken") };
        assert_eq!(fault.key(), key);
        assert!(fault.to_string().contains(sentence), "{fault}");
        assert!(!fault.to_string().contains("secret"), "{fault}");
    }

    #[test]
    fn an_address_of_ipv6_is_known_without_its_brackets() {
        for (url, host, port) in [
            ("postgres://u:secret@[::1]:5433/db", "::1", 5433),
            ("postgresql://u@[fd00::7]/db", "fd00::7", 5432),
            ("postgres://u@db.example:6432/db", "db.example", 6432),
        ] {
            let pg = read(url).unwrap();
            assert_eq!((pg.get_host(), pg.get_port()), (host, port), "{url}");
        }
        let parts = DatabaseConfig { host: Some("[::1]".to_owned()), ..DatabaseConfig::default() };
        assert_eq!(parts.of_parts("[::1]").get_host(), "::1");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_key_and_without_secrets() {
        let parts = DatabaseConfig { host: Some("db".to_owned()), ..DatabaseConfig::default() };
        check_fault(&DatabaseConfig::default(), "database.url", "and so is database.host");
        check_fault(&DatabaseConfig::at("mysql://u:secret@db"), "database.url", "not a Postgres URL");
        check_fault(&DatabaseConfig::at("postgres://u:secret@a:1,b:2/db"), "database.url", "several hosts");
        let both = DatabaseConfig { user: Some("u".to_owned()), ..DatabaseConfig::at("postgres://db/x") };
        check_fault(&both, "database.user", "part of a URL");
        let mode = DatabaseConfig { sslmode: Some("on".to_owned()), ..parts.clone() };
        check_fault(&mode, "database.sslmode", "verify-full");
        let away = DatabaseConfig { ca: Some("/no/such/file".into()), ..parts.clone() };
        check_fault(&away, "database.ca", "/no/such/file cannot be read");
        let half = DatabaseConfig { key: Some("/dev/null".into()), ..parts };
        check_fault(&half, "database.certificate", "belong together");
    }

    #[test]
    fn an_authority_is_asked_unless_something_else_is_said() {
        let mode = |config: DatabaseConfig| {
            let pg = match (&config.url, &config.host) {
                (Some(url), _) => read(url.expose_secret()).unwrap(),
                (None, host) => config.of_parts(host.as_deref().unwrap()),
            };
            format!("{:?}", config.with_tls(pg).unwrap().get_ssl_mode())
        };
        let ca = |config: DatabaseConfig| DatabaseConfig { ca: Some("/dev/null".into()), ..config };
        let parts = DatabaseConfig { host: Some("db".to_owned()), ..DatabaseConfig::default() };
        assert_eq!(mode(parts.clone()), "Prefer");
        assert_eq!(mode(ca(parts.clone())), "VerifyFull");
        assert_eq!(mode(ca(DatabaseConfig::at("postgres://db/x?sslmode=require"))), "Require");
        let said = DatabaseConfig { sslmode: Some("verify-ca".to_owned()), ..ca(parts) };
        assert_eq!(mode(said), "VerifyCa");
    }
}
