//! The section `database` of a service.

use std::{path::PathBuf, str::FromStr, time::Duration};

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::{
    connect::Options,
    fault::Fault,
    hosts::{self, Hosts},
    pooler::Pooler,
};

/// The section `database` of a service: a URL, or the parts of one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `postgres://user:password@host:5432/database`: the primary, or several hosts of which one is (`a,b:5433`).
    #[schemars(with = "Option<String>")]
    pub url: Option<SecretString>,
    /// The host instead of a URL, or the folder of a socket; several with commas.
    pub host: Option<String>,
    /// The port, with `host`.
    pub port: Option<u16>,
    /// The database, with `host`.
    pub name: Option<String>,
    /// The user, with `host`.
    pub user: Option<String>,
    /// The password, with `host`: as it is, nothing in it is encoded.
    #[schemars(with = "Option<String>")]
    pub password: Option<SecretString>,
    /// `disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`.
    pub sslmode: Option<String>,
    /// A file with the authority that signed the server's certificate, in PEM.
    pub ca: Option<PathBuf>,
    /// A file with the certificate that the server asks for, in PEM.
    pub certificate: Option<PathBuf>,
    /// A file with its key.
    pub key: Option<PathBuf>,
    /// The pooler before it, if there is one.
    pub pooler: Pooler,
    /// How long `migrate` waits for the database to answer, and for another migration to end.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub wait: Duration,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self {
            url: None,
            host: None,
            port: None,
            name: None,
            user: None,
            password: None,
            sslmode: None,
            ca: None,
            certificate: None,
            key: None,
            pooler: Pooler::None,
            wait: Duration::from_secs(60),
        }
    }
}

impl DatabaseConfig {
    /// The section with a URL alone.
    pub fn at(url: &str) -> Self {
        Self { url: Some(url.into()), ..Self::default() }
    }

    /// The connection options; `application` is the name that `pg_stat_activity` shows.
    ///
    /// # Errors
    /// What is wrong with the section.
    pub fn options(&self, application: &str) -> Result<Options, Fault> {
        let hosts = match (&self.url, &self.host) {
            (Some(url), _) => self.of_url(url.expose_secret())?,
            (None, Some(host)) => self.of_parts(host),
            (None, None) => return Err(Fault::Missing),
        };
        Ok(Options::of(hosts.try_map(|pg| self.with_tls(pg))?, application, self.pooler))
    }

    /// The same for a service that needs sessions of its own, because it listens or holds locks.
    ///
    /// # Errors
    /// What is wrong with the section, such as a pooler that shares sessions.
    pub fn options_of_own_session(&self, application: &str) -> Result<Options, Fault> {
        match self.pooler {
            Pooler::Transaction => Err(Fault::Pooler),
            Pooler::None | Pooler::Session => self.options(application),
        }
    }

    fn of_url(&self, url: &str) -> Result<Hosts, Fault> {
        let parts = [
            ("database.host", self.host.is_some()),
            ("database.port", self.port.is_some()),
            ("database.name", self.name.is_some()),
            ("database.user", self.user.is_some()),
            ("database.password", self.password.is_some()),
        ];
        match parts.into_iter().find(|(_, is_set)| *is_set) {
            Some((key, _)) => Err(Fault::PartOfUrl(key)),
            None => hosts::of_url(url),
        }
    }

    fn of_parts(&self, host: &str) -> Hosts {
        // without `~/.pgpass`: a service takes its password from its configuration alone
        let pg = PgConnectOptions::new_without_pgpass()
            .port(self.port.unwrap_or(5432))
            .database(self.name.as_deref().unwrap_or("rowcast"))
            .username(self.user.as_deref().unwrap_or("rowcast"));
        let pg = match &self.password {
            Some(password) => pg.password(password.expose_secret()),
            None => pg,
        };
        Hosts::new(host.split(',').map(|host| hosts::at(pg.clone(), host)).collect(), None)
    }

    fn with_tls(&self, mut pg: PgConnectOptions) -> Result<PgConnectOptions, Fault> {
        if let Some(path) = readable("database.ca", self.ca.as_ref())? {
            pg = pg.ssl_root_cert(path);
            // a configured authority means full verification, unless `sslmode` is set
            let has_mode = self.url.as_ref().is_some_and(|url| url.expose_secret().contains("sslmode="));
            if !has_mode {
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
            (Some(_), None) => Err(Fault::Unpaired("database.key")),
            (None, Some(_)) => Err(Fault::Unpaired("database.certificate")),
        }
    }
}

impl Options {
    /// From a URL alone; `application` is what `pg_stat_activity` shows.
    ///
    /// # Errors
    /// When the URL is not one of Postgres.
    pub fn new(url: &str, application: &str) -> std::result::Result<Self, Fault> {
        DatabaseConfig::at(url).options(application)
    }
}

fn readable<'a>(key: &'static str, path: Option<&'a PathBuf>) -> Result<Option<&'a PathBuf>, Fault> {
    let Some(path) = path else { return Ok(None) };
    std::fs::File::open(path).map_err(|why| Fault::File { key, path: path.clone(), why })?;
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::Target;

    fn places(hosts: &Hosts) -> Vec<(&str, u16)> {
        hosts.all().0.iter().map(|pg| (pg.get_host(), pg.get_port())).collect()
    }

    #[track_caller]
    fn check_fault(config: &DatabaseConfig, key: &str, part: &str) {
        let Err(fault) = config.options("") else { panic!("{config:?} is taken") };
        assert_eq!(fault.key(), key);
        assert!(fault.to_string().contains(part), "{fault}");
        assert!(!fault.to_string().contains("secret"), "{fault}");
    }

    #[test]
    fn an_ipv6_address_is_used_without_its_brackets() {
        for (url, host, port) in [
            ("postgres://u:secret@[::1]:5433/db", "::1", 5433),
            ("postgresql://u@[fd00::7]/db", "fd00::7", 5432),
            ("postgres://u@db.example:6432/db", "db.example", 6432),
        ] {
            assert_eq!(places(&hosts::of_url(url).unwrap()), [(host, port)], "{url}");
        }
        assert_eq!(places(&DatabaseConfig::default().of_parts("[::1]")), [("::1", 5432)]);
    }

    #[test]
    fn faults_name_their_key_and_no_secrets() {
        let parts = DatabaseConfig { host: Some("db".to_owned()), ..DatabaseConfig::default() };
        check_fault(&DatabaseConfig::default(), "database.url", "and so is database.host");
        check_fault(&DatabaseConfig::at("mysql://u:secret@db"), "database.url", "not a Postgres URL");
        let ports = DatabaseConfig::at("postgres://u:secret@a,b,c/db?port=1,2");
        check_fault(&ports, "database.url", "one port for all hosts");
        let target = DatabaseConfig::at("postgres://u:secret@a,b/db?target_session_attrs=standby");
        check_fault(&target, "database.url", "must be read-write, primary or any");
        let both = DatabaseConfig { user: Some("u".to_owned()), ..DatabaseConfig::at("postgres://db/x") };
        check_fault(&both, "database.user", "part of a URL");
        let mode = DatabaseConfig { sslmode: Some("on".to_owned()), ..parts.clone() };
        check_fault(&mode, "database.sslmode", "verify-full");
        let missing = DatabaseConfig { ca: Some("/no/such/file".into()), ..parts.clone() };
        check_fault(&missing, "database.ca", "/no/such/file cannot be read");
        let half = DatabaseConfig { key: Some("/dev/null".into()), ..parts };
        check_fault(&half, "database.certificate", "belong together");
    }

    #[test]
    fn an_authority_means_verify_full_unless_a_mode_is_set() {
        let mode = |config: DatabaseConfig| {
            let hosts = match (&config.url, &config.host) {
                (Some(url), _) => hosts::of_url(url.expose_secret()).unwrap(),
                (None, host) => config.of_parts(host.as_deref().unwrap()),
            };
            let hosts = hosts.try_map(|pg| config.with_tls(pg)).unwrap();
            format!("{:?}", hosts.all().0[0].get_ssl_mode())
        };
        let ca = |config: DatabaseConfig| DatabaseConfig { ca: Some("/dev/null".into()), ..config };
        let parts = DatabaseConfig { host: Some("db".to_owned()), ..DatabaseConfig::default() };
        assert_eq!(mode(parts.clone()), "Prefer");
        assert_eq!(mode(ca(parts.clone())), "VerifyFull");
        assert_eq!(mode(ca(DatabaseConfig::at("postgres://db/x?sslmode=require"))), "Require");
        let explicit = DatabaseConfig { sslmode: Some("verify-ca".to_owned()), ..ca(parts) };
        assert_eq!(mode(explicit), "VerifyCa");
    }

    #[test]
    fn several_hosts_are_written_as_in_libpq() {
        #[track_caller]
        fn check(url: &str, want: &[(&str, u16)], target: Target) {
            let hosts = hosts::of_url(url).unwrap();
            assert_eq!((places(&hosts).as_slice(), hosts.all().1), (want, target), "{url}");
            let database = hosts.all().0.iter().map(|pg| pg.get_database().unwrap_or_default().to_owned());
            assert_eq!(database.collect::<Vec<_>>(), vec!["db"; want.len()], "{url}");
        }
        let (read_write, any) = (Target::ReadWrite, Target::Any);
        check("postgres://u:p@a/db", &[("a", 5432)], any);
        check("postgres://u:p@a:1,b:2/db", &[("a", 1), ("b", 2)], read_write);
        check("postgres://u:p@a,b:2/db", &[("a", 5432), ("b", 2)], read_write);
        check("postgres://u:p@[::1]:1,[fd00::7]/db", &[("::1", 1), ("fd00::7", 5432)], read_write);
        check("postgres://u@/db?host=a,b&port=1,2", &[("a", 1), ("b", 2)], read_write);
        check("postgres://u@/db?host=a,%3A%3A1&port=7", &[("a", 7), ("::1", 7)], read_write);
        check("postgres://a,b/db?port=7&target_session_attrs=any", &[("a", 7), ("b", 7)], any);
        check(
            "postgres://a/db?sslmode=require&target_session_attrs=primary",
            &[("a", 5432)],
            Target::Primary,
        );
        let socket = hosts::of_url("postgres://u@/db?host=/run/a,b").unwrap();
        assert_eq!(socket.all().0[0].get_socket().unwrap().to_str(), Some("/run/a"));
        let parts = DatabaseConfig { port: Some(7), ..DatabaseConfig::default() }.of_parts("a,[::1]");
        assert_eq!((places(&parts), parts.all().1), (vec![("a", 7), ("::1", 7)], read_write));
    }

    #[test]
    fn a_service_that_needs_a_session_refuses_transaction_pooling() {
        let behind = |pooler| DatabaseConfig { pooler, ..DatabaseConfig::at("postgres://db/x") };
        for pooler in [Pooler::None, Pooler::Session] {
            assert!(behind(pooler).options_of_own_session("").is_ok(), "{pooler:?}");
        }
        let fault = behind(Pooler::Transaction).options_of_own_session("").err().unwrap();
        assert_eq!(fault.key(), "database.pooler");
        assert!(fault.to_string().contains("past the pooler"), "{fault}");
    }
}
