//! Connecting to a Redis that fails over, and to one with a certificate of a private authority.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{fs, time::Duration};

use bus::{Append, Appender, EntryId, NewEntry, Options, Read, RedisConfig, Tail};
use testkit::{Redis, Sentinel, postgres::free_port, wait_for};
use wire::{EntryBuilder, Epoch, Position, Provenance, Tick};

const EPOCH: Epoch = Epoch(7);
const SOON: Duration = Duration::from_secs(20);
const MASTER: &str = "rowcast";

fn at(tick: i64) -> Position {
    Position::new(EPOCH, Tick(tick), tick)
}

async fn append(options: &Options, tick: i64) -> bus::Result<Append> {
    let mut readings = EntryBuilder::new(0);
    readings.push(tick, "s", |out| out.extend_from_slice(b"{}"));
    let entry = NewEntry {
        id: EntryId::at(at(tick)),
        predecessor: at(tick - 1),
        provenance: Provenance::default(),
        readings: readings.finish(),
    };
    let expected = (tick > 1).then(|| EntryId::at(at(tick - 1)));
    let mut appender = Appender::connect(options).await?;
    if appender.end(EPOCH).await?.map(|end| end.id) == Some(entry.id) {
        return Ok(Append::Appended);
    }
    appender.append(EPOCH, expected, &[entry]).await
}

/// The positions after that one, as soon as there is any.
async fn follow(options: &Options, after: Position) -> Vec<Position> {
    wait_for("an entry", SOON, || async {
        let read = async { Tail::connect(options).await?.read(after, Duration::from_millis(100)).await };
        match read.await {
            Ok(Read::Entries(entries)) => Ok(entries.into_iter().map(|entry| entry.end).collect()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

async fn appended(options: &Options, tick: i64) {
    wait_for("an append", SOON, || async {
        match append(options, tick).await {
            Ok(Append::Appended) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

async fn wait_for_text(what: &str, text: &str, read: impl Fn() -> String) {
    wait_for(what, SOON, || async {
        let output = read();
        if output.contains(text) { Ok(()) } else { Err(output) }
    })
    .await;
}

fn replica_of(master: &Redis) -> Redis {
    Redis::start_with(&["--replicaof", "127.0.0.1", &master.port().to_string()]).unwrap()
}

#[tokio::test]
async fn the_stream_continues_at_the_master_of_the_sentinels() {
    let first = Redis::start_with(&["--repl-diskless-sync-delay", "0"]).unwrap();
    let second = replica_of(&first);
    wait_for_text("a replica", "state=online", || first.command(&["INFO", "replication"]).unwrap()).await;
    let sentinel = Sentinel::start(MASTER, &first).unwrap();
    let dead = format!("127.0.0.1:{}", free_port().unwrap());
    let config = RedisConfig {
        // one of the sentinels is unreachable
        sentinels: vec![dead, sentinel.address()],
        master: Some(MASTER.to_owned()),
        ..RedisConfig::at("redis://not-used.invalid/3", "connecting")
    };
    let options = config.options().unwrap();
    appended(&options, 1).await;
    let mut tail = Tail::connect(&options).await.unwrap();
    assert!(first.command(&["INFO", "keyspace"]).unwrap().contains("db3"), "the URL's database");
    wait_for_text("the entry there", "db3", || second.command(&["INFO", "keyspace"]).unwrap()).await;
    wait_for_text("the replica at the Sentinel", "slave", || {
        sentinel.command(&["SENTINEL", "REPLICAS", MASTER]).unwrap()
    })
    .await;
    drop(first);
    tail.read(at(1), SOON).await.unwrap_err();
    let (_, followed) = tokio::join!(appended(&options, 2), follow(&options, at(1)));
    assert_eq!(followed, [at(2)]);
    assert!(second.command(&["INFO", "replication"]).unwrap().contains("role:master"));
}

#[tokio::test]
async fn a_master_that_the_sentinels_do_not_know_is_an_error() {
    let redis = Redis::start().unwrap();
    let sentinel = Sentinel::start(MASTER, &redis).unwrap();
    let config = |sentinel: String, master: &str| RedisConfig {
        sentinels: vec![sentinel],
        master: Some(master.to_owned()),
        ..RedisConfig::at(&redis.url(), "connecting")
    };
    append(&config(sentinel.address(), MASTER).options().unwrap(), 1).await.unwrap();
    append(&config(sentinel.address(), "other").options().unwrap(), 2).await.unwrap_err();
    let no_sentinel = format!("127.0.0.1:{}", redis.port());
    append(&config(no_sentinel, MASTER).options().unwrap(), 2).await.unwrap_err();
}

/// A Redis with TLS, whose certificate is its own authority.
struct TlsRedis {
    url: String,
    folder: tempfile::TempDir,
    _redis: Redis,
}

impl TlsRedis {
    /// `more`: further arguments of the server, by the path of its certificate.
    fn start(more: impl FnOnce(&str) -> Vec<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(path("ca.pem"), signed.cert.pem()).unwrap();
        fs::write(path("key.pem"), signed.signing_key.serialize_pem()).unwrap();
        let port = free_port().unwrap();
        let (certificate, key, tls_port) = (path("ca.pem"), path("key.pem"), port.to_string());
        let tls = ["--tls-port", &tls_port, "--tls-cert-file", &certificate, "--tls-key-file", &key];
        let more = more(&certificate);
        let arguments: Vec<&str> = tls.into_iter().chain(more.iter().map(String::as_str)).collect();
        let redis = Redis::start_with(&arguments).unwrap();
        Self { url: format!("rediss://localhost:{port}/"), folder, _redis: redis }
    }

    fn file(&self, name: &str) -> Option<std::path::PathBuf> {
        Some(self.folder.path().join(name))
    }
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_its_file_is_given() {
    let redis = TlsRedis::start(|_| vec!["--tls-auth-clients".to_owned(), "no".to_owned()]);
    let without = RedisConfig::at(&redis.url, "connecting");
    append(&without.options().unwrap(), 1).await.unwrap_err();
    let with = RedisConfig { ca: redis.file("ca.pem"), ..without };
    assert_eq!(append(&with.options().unwrap(), 1).await.unwrap(), Append::Appended);
}

/// A password as password generators make them.
const PASSWORD: &str = "p@ss:w/rd%20?#[x]";

#[tokio::test]
async fn an_acl_user_s_password_is_sent_as_it_is() {
    let redis = Redis::start().unwrap();
    let password = format!(">{PASSWORD}");
    redis.command(&["ACL", "SETUSER", "rowcast", "on", &password, "~{connecting}:*", "+@all"]).unwrap();
    redis.command(&["ACL", "SETUSER", "default", "resetpass", "-@all"]).unwrap();
    let config = RedisConfig {
        user: Some("rowcast".to_owned()),
        password: Some(PASSWORD.into()),
        ..RedisConfig::at(&redis.url(), "connecting")
    };
    assert_eq!(append(&config.options().unwrap(), 1).await.unwrap(), Append::Appended);
    append(&RedisConfig::at(&redis.url(), "connecting").options().unwrap(), 2).await.unwrap_err();
}

#[tokio::test]
async fn sentinels_may_have_users_too() {
    let redis = Redis::start().unwrap();
    let sentinel = Sentinel::start(MASTER, &redis).unwrap();
    let password = format!(">{PASSWORD}");
    sentinel.command(&["ACL", "SETUSER", "watcher", "on", &password, "allchannels", "+@all"]).unwrap();
    sentinel.command(&["ACL", "SETUSER", "default", "resetpass", "-@all"]).unwrap();
    let without = RedisConfig {
        sentinels: vec![sentinel.address()],
        master: Some(MASTER.to_owned()),
        ..RedisConfig::at("redis://not-used.invalid/0", "connecting")
    };
    append(&without.options().unwrap(), 1).await.unwrap_err();
    let with = RedisConfig {
        sentinel_user: Some("watcher".to_owned()),
        sentinel_password: Some(PASSWORD.into()),
        ..without
    };
    assert_eq!(append(&with.options().unwrap(), 1).await.unwrap(), Append::Appended);
}

#[tokio::test]
async fn a_client_certificate_is_sent_to_a_server_that_requires_one() {
    let redis = TlsRedis::start(|certificate| {
        ["--tls-auth-clients", "yes", "--tls-ca-cert-file", certificate].map(str::to_owned).to_vec()
    });
    let without = RedisConfig { ca: redis.file("ca.pem"), ..RedisConfig::at(&redis.url, "connecting") };
    append(&without.options().unwrap(), 1).await.unwrap_err();
    let with = RedisConfig { certificate: redis.file("ca.pem"), key: redis.file("key.pem"), ..without };
    assert_eq!(append(&with.options().unwrap(), 1).await.unwrap(), Append::Appended);
}
