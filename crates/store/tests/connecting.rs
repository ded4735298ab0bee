//! Connecting to a database by an IPv6 address, by parts, and with certificates on both sides.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{fs, time::Duration};

use store::{Database, DatabaseConfig, schema};
use testkit::{Postgres, TestDatabase};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

const DEADLINE: Duration = Duration::from_millis(300);

/// A port on the IPv6 loopback that is forwarded to the server.
async fn through_ipv6(port: u16) -> u16 {
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            drop(copy_bidirectional(&mut client, &mut server).await);
        }
    });
    own
}

async fn reaches(config: &DatabaseConfig) -> Result<(), String> {
    let database = Database::new(&config.options("connecting").map_err(|fault| fault.to_string())?, 1);
    match database.check_schema().await {
        Ok(()) | Err(schema::SchemaError::TooOld { .. }) => Ok(()),
        Err(error) => Err(chain(&error)),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// The parts of a test's database.
fn parts(db: &TestDatabase) -> DatabaseConfig {
    let url = url::Url::parse(&db.url).unwrap();
    DatabaseConfig {
        host: url.host_str().map(str::to_owned),
        port: url.port(),
        name: Some(url.path().trim_start_matches('/').to_owned()),
        user: Some(url.username().to_owned()),
        ..DatabaseConfig::default()
    }
}

#[tokio::test]
async fn an_ipv6_address_works_in_a_url_and_by_itself() {
    let db = TestDatabase::empty();
    let parts = parts(&db);
    let port = through_ipv6(parts.port.unwrap()).await;
    let name = parts.name.clone().unwrap();
    reaches(&DatabaseConfig::at(&format!("postgres://postgres@[::1]:{port}/{name}"))).await.unwrap();
    let by_parts = DatabaseConfig { host: Some("::1".to_owned()), port: Some(port), ..parts };
    reaches(&by_parts).await.unwrap();
}

/// A password as password generators make them.
const PASSWORD: &str = "p@ss:w/rd%20?#[x]";

/// A server that asks for a certificate of the client, signed like its own, and for the password.
#[tokio::test]
async fn certificates_and_passwords_are_used_as_they_are() {
    let postgres = Postgres::start().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let own = tempfile::tempdir().unwrap();
    fs::write(own.path().join("server.crt"), &certificate).unwrap();
    fs::write(own.path().join("server.key"), &key).unwrap();
    postgres.psql("postgres", &format!("alter role postgres password '{PASSWORD}'")).unwrap();
    let rules = "hostssl all all all scram-sha-256 clientcert=verify-ca\n";
    postgres.serve_tls(&certificate, &key, &certificate, rules).unwrap();
    let file = |name: &str| Some(own.path().join(name));
    let without = DatabaseConfig {
        host: Some("localhost".to_owned()),
        port: Some(postgres.port()),
        name: Some("postgres".to_owned()),
        user: Some("postgres".to_owned()),
        password: Some(PASSWORD.into()),
        ca: file("server.crt"),
        ..DatabaseConfig::default()
    };
    let with = DatabaseConfig { certificate: file("server.crt"), key: file("server.key"), ..without.clone() };
    testkit::wait_for("the server to ask for certificates", Duration::from_secs(10), || reaches(&with)).await;
    reaches(&without).await.unwrap_err();
    let wrong = DatabaseConfig { password: Some("p@ss".into()), ..with.clone() };
    let error = reaches(&wrong).await.unwrap_err();
    assert!(error.starts_with("database authentication failed: "), "{error}");
    let foreign = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(own.path().join("other.crt"), foreign.cert.pem()).unwrap();
    let untrusted = DatabaseConfig { ca: file("other.crt"), ..with };
    reaches(&untrusted).await.unwrap_err();
}

#[tokio::test]
async fn an_error_names_the_setting_that_is_wrong() {
    let db = TestDatabase::empty();
    let parts = parts(&db);
    let migrate = async |config: DatabaseConfig| {
        let options = config.options("connecting").unwrap();
        chain(&schema::migrate(&options, DEADLINE).await.unwrap_err())
    };
    let host = DatabaseConfig { host: Some("no-such-host.invalid".to_owned()), ..parts.clone() };
    let error = migrate(host.clone()).await;
    assert!(error.contains("database host not found"), "{error}");
    let name = DatabaseConfig { name: Some("nothing".to_owned()), ..parts.clone() };
    let error = migrate(name.clone()).await;
    assert!(error.contains("database does not exist: "), "{error}");
    assert!(error.contains("\"nothing\" does not exist"), "{error}");
    let user = DatabaseConfig { user: Some("stranger".to_owned()), ..parts.clone() };
    let error = migrate(user).await;
    assert!(error.contains("database authentication failed: "), "{error}");
    let port = DatabaseConfig { port: Some(1), ..parts };
    let error = migrate(port).await;
    assert!(error.contains("database unreachable: "), "{error}");
    for (config, text) in [(host, "database host not found: "), (name, "database does not exist: ")] {
        let error = reaches(&config).await.unwrap_err();
        assert!(error.starts_with(text), "{error}");
    }
}
