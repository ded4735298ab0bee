//! Postgres and Redis that ask for everything: TLS, a certificate of each client, and a user with a password and few rights.

use std::{path::Path, time::Duration};

use e2e::{Plan, Stack, Trial, http, stack, tls::Certificates, users};
use testkit::{Postgres, Process, Redis, postgres::free_port, process::Program, wait_for};

const SOON: Duration = Duration::from_secs(30);

/// The tests' own connections are the owner's; everyone else needs TLS, the certificate of the user, and the password.
const RULES: &str = "host all postgres 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-full\n";

/// A user who may make a schema, for `migrate`.
const OWNER: &str = "rowcast_owner";

struct Secured {
    certificates: Certificates,
    postgres: Option<Postgres>,
    postgres_port: u16,
    redis_port: u16,
    _redis: Redis,
}

impl Secured {
    fn start() -> Self {
        let certificates = Certificates::until(2040).unwrap();
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let authority = read(&certificates.authority());
        let postgres = Postgres::start().unwrap();
        users::create(&postgres).unwrap();
        let sql = |sql: &str| postgres.psql("postgres", sql).unwrap();
        sql(&format!("create role {OWNER} login createrole"));
        sql(&format!("create database secured owner {OWNER}"));
        for user in users::all().iter().map(String::as_str).chain([OWNER]) {
            sql(&format!("alter role {user} password 'password'"));
        }
        let (certificate, key) = (read(&certificates.certificate()), read(&certificates.key()));
        postgres.serve_tls(&certificate, &key, &authority, RULES).unwrap();
        let (redis, redis_port) = redis(&certificates);
        let postgres_port = postgres.port();
        Self { certificates, postgres: Some(postgres), postgres_port, redis_port, _redis: redis }
    }

    /// Postgres for a program, as this user with the certificate of that one; none: without a certificate.
    fn database(&self, database: &str, user: &str, of: Option<&str>) -> Vec<(String, String)> {
        let url = format!(
            "postgres://{user}:password@localhost:{}/{database}?sslmode=verify-full",
            self.postgres_port
        );
        self.section("DATABASE", url, of)
    }

    /// The same for Redis.
    fn redis(&self, of: Option<&str>) -> Vec<(String, String)> {
        self.section("REDIS", format!("rediss://rowcast:password@localhost:{}/", self.redis_port), of)
    }

    fn section(&self, section: &str, url: String, of: Option<&str>) -> Vec<(String, String)> {
        let key = |name: &str| format!("ROWCAST_{section}__{name}");
        let mut all =
            vec![(key("URL"), url), (key("CA"), self.certificates.authority().display().to_string())];
        if let Some(name) = of {
            let (certificate, own_key) = self.certificates.client_of(name).unwrap();
            all.push((key("CERTIFICATE"), certificate.display().to_string()));
            all.push((key("KEY"), own_key.display().to_string()));
        }
        all
    }

    /// What a service is told, with its own certificates.
    fn service(&self, name: &str) -> Vec<(String, String)> {
        let user = users::name(name);
        let mut all = self.database(stack::DATABASE, &user, Some(&user));
        if name != "ingest" {
            all.extend(self.redis(Some("rowcast")));
        }
        all
    }

    /// A whole installation.
    async fn stack(&mut self) -> Stack {
        let mut env = Vec::new();
        for name in ["ingest", "ws-gateway", "notify-listener"] {
            env.extend(self.service(name).into_iter().map(|(key, value)| (format!("{name}:{key}"), value)));
        }
        let plan = Plan { gateways: 2, listeners: 2 };
        let postgres = self.postgres.take().unwrap();
        Stack::start_on(postgres, None, plan, &stack::borrowed(&env)).await.unwrap()
    }
}

/// A Redis that has only the documented user.
fn redis(certificates: &Certificates) -> (Redis, u16) {
    let port = free_port().unwrap();
    let path = |path: std::path::PathBuf| path.display().to_string();
    let (certificate, key) = (path(certificates.certificate()), path(certificates.key()));
    let (authority, port_text) = (path(certificates.authority()), port.to_string());
    let redis = Redis::start_with(&[
        "--tls-port",
        &port_text,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &authority,
        "--tls-auth-clients",
        "yes",
    ])
    .unwrap();
    let install =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/INSTALL.md"));
    let install = install.unwrap();
    let command = install.split('`').find(|code| code.starts_with("ACL SETUSER rowcast ")).unwrap();
    let words: Vec<&str> = command.split_whitespace().map(|word| word.trim_matches('\'')).collect();
    assert_eq!(redis.command(&words).unwrap(), "+OK\r\n");
    assert_eq!(redis.command(&["ACL", "SETUSER", "default", "off"]).unwrap(), "+OK\r\n");
    (redis, port)
}

/// Runs `migrate`; its exit code and its log.
fn migrate(env: Vec<(String, String)>) -> (Option<i32>, String) {
    let scratch = tempfile::tempdir().unwrap();
    let log = scratch.path().join("migrate.log");
    let program = Program::new(stack::binary("migrate").unwrap(), &log).env("ROWCAST_DATABASE__WAIT", "1s");
    let program = env.into_iter().fold(program, |program, (key, value)| program.env(&key, value));
    let code = Process::start(program).unwrap().wait(SOON).unwrap();
    (code, std::fs::read_to_string(log).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_pipeline_works_with_certificates_on_both_sides() {
    let mut secured = Secured::start();
    let (code, log) = migrate(secured.database("secured", OWNER, Some(OWNER)));
    assert_eq!(code, Some(0), "{log}");
    let stack = secured.stack().await;
    let mut trial = Trial::begin(stack).await;
    trial.progress("readings over TLS").await;
    let encrypted = trial.stack.psql(
        "select count(*) filter (where ssl), count(*) filter (where not ssl) from pg_stat_ssl
           join pg_stat_activity using (pid) where usename like 'rowcast%'",
    );
    let (with, without) = encrypted.split_once('|').unwrap();
    assert!(with.parse::<u32>().unwrap() > 10 && without == "0", "{encrypted}");
    assert_eq!(trial.stack.redis.command(&["DBSIZE"]).unwrap(), ":0\r\n", "the other one has the stream");
    trial.stack.listeners[0].crash_and_start().unwrap();
    trial.stack.postgres.crash_and_start().unwrap();
    trial.progress("readings after a crash").await;
    let summary = trial.end().await.unwrap();
    assert!(summary.readings > 20 && summary.clients == 4, "{summary:?}");
}

/// A service that is told this stays alive, and `/readyz` names the reason.
async fn check_refused(name: &str, env: Vec<(String, String)>, condition: &str, reason: &str) {
    let scratch = tempfile::tempdir().unwrap();
    let admin = std::net::SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
    let program = Program::new(stack::binary(name).unwrap(), scratch.path().join("log"))
        .env("ROWCAST_HTTP__ADDR", "127.0.0.1:0")
        .env("ROWCAST_ADMIN__ADDR", admin.to_string());
    let program = env.into_iter().fold(program, |program, (key, value)| program.env(&key, value));
    let service = Process::start(program).unwrap();
    wait_for(&format!("{name}: {condition}: {reason}"), SOON, async || {
        let answer = http::get(admin, "/readyz").await.map_err(|error| error.to_string())?;
        let conditions = answer.json();
        // a listener without Redis is ready to lead, and degraded
        let why =
            ["failing", "degraded"].map(|kind| conditions[kind][condition].as_str().unwrap_or_default());
        if why.iter().any(|why| why.contains(reason)) { Ok(()) } else { Err(answer.body) }
    })
    .await;
    assert!(service.is_running());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_certificate_a_service_is_refused_and_says_so() {
    let mut secured = Secured::start();
    let (code, log) = migrate(secured.database("secured", OWNER, None));
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("database authentication failed") && log.contains("client certificate"), "{log}");
    let stack = secured.stack().await;
    for (name, condition) in [("ingest", "database"), ("ws-gateway", "schema"), ("notify-listener", "schema")]
    {
        let user = users::name(name);
        let redis = if name == "ingest" { Vec::new() } else { secured.redis(Some("rowcast")) };
        let env = [secured.database(stack::DATABASE, &user, None), redis.clone()].concat();
        check_refused(name, env, condition, "connection requires a valid client certificate").await;
        let env = [secured.database(stack::DATABASE, &user, Some("somebody")), redis].concat();
        check_refused(name, env, condition, "database authentication failed").await;
    }
    for (name, condition) in [("ws-gateway", "feed"), ("notify-listener", "forwarding")] {
        let user = users::name(name);
        let env = [secured.database(stack::DATABASE, &user, Some(&user)), secured.redis(None)].concat();
        check_refused(name, env, condition, "CertificateRequired").await;
    }
    drop(stack);
}
