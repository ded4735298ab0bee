//! Services that follow keys and revocations know what the tables have, whatever commits when.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeMap, time::Duration};

use auth::{KeyId, KeyRecord, Limits, Revocation, Revoked, Scope, SecretHash, Secrets, UnixMicros, new_key};
use futures_util::future::join_all;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use store::{
    Database,
    keys::{Followed, Keys},
};
use testkit::{Postgres, TestDatabase, wait_for};

const SOON: Duration = Duration::from_secs(20);

fn record(number: u64) -> KeyRecord {
    let (key, hash) = new_key([7; 32], number.to_le_bytes());
    KeyRecord {
        id: key.id(),
        name: "0".to_owned(),
        write: Scope::none(),
        read: Scope::none(),
        limits: Limits::default(),
        expires_at: None,
        is_revoked: false,
        secrets: Secrets::one(hash),
    }
}

/// What a service has in memory.
#[derive(Default)]
struct Follower {
    followed: Followed,
    keys: BTreeMap<KeyId, Option<KeyRecord>>,
    revocations: BTreeMap<String, UnixMicros>,
    /// How often it began anew.
    begun: u32,
    pages: u32,
}

impl Follower {
    async fn poll(&mut self, database: &Database) {
        loop {
            let changes = database.changes_since(&self.followed).await.unwrap();
            if changes.is_anew {
                self.keys.clear();
                self.revocations.clear();
                self.begun += 1;
            }
            self.pages += 1;
            self.keys.extend(changes.keys.into_iter().map(|change| (change.id, change.record)));
            let until = |Revocation { of, until, .. }| (format!("{of:?}"), until);
            self.revocations.extend(changes.revocations.into_iter().map(until));
            self.followed = changes.followed;
            if !changes.more {
                return;
            }
        }
    }

    /// `id=name` of each key that may be used.
    fn live(&self) -> String {
        let live = self.keys.values().flatten().filter(|record| !record.is_revoked);
        live.map(|record| format!("{}={}", record.id, record.name)).collect::<Vec<_>>().join("\n")
    }
}

fn live(db: &TestDatabase) -> String {
    db.psql("select id || '=' || name from rowcast.api_key where revoked_at is null order by id")
}

async fn connect(db: &TestDatabase) -> PgConnection {
    PgConnection::connect(&db.url).await.unwrap()
}

async fn run(connection: &mut PgConnection, sql: impl Into<String>) {
    sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(connection).await.unwrap();
}

#[tokio::test]
async fn a_change_is_seen_once_and_a_page_holds_no_more_than_it_may() {
    let db = TestDatabase::migrated().await;
    let (mut keys, database) = (Keys::connect(&db.options()).await.unwrap(), Database::new(&db.options(), 1));
    let mut follower = Follower::default();
    follower.poll(&database).await;
    assert_eq!((follower.keys.len(), follower.begun, follower.pages), (0, 1, 1));
    keys.import(&(0..2_500).map(record).collect::<Vec<_>>()).await.unwrap();
    follower.poll(&database).await;
    assert_eq!((follower.live(), follower.begun, follower.pages), (live(&db), 1, 4));
    let before = follower.followed.clone();
    follower.poll(&database).await;
    assert_eq!((&follower.followed, follower.pages), (&before, 5));
    assert!(database.changes_since(&before).await.unwrap().keys.is_empty());
    keys.rotate(record(7).id, SecretHash::new([9; 32])).await.unwrap();
    keys.revoke(record(8).id).await.unwrap();
    let changes = database.changes_since(&before).await.unwrap();
    let changed: Vec<KeyId> = changes.keys.iter().map(|change| change.id).collect();
    assert_eq!((changed, changes.more), (vec![record(7).id, record(8).id], false));
    follower.poll(&database).await;
    assert_eq!(follower.live(), live(&db));
}

#[tokio::test]
async fn keys_with_many_patterns_come_in_pages_of_bounded_size() {
    let db = TestDatabase::migrated().await;
    let (mut keys, database) = (Keys::connect(&db.options()).await.unwrap(), Database::new(&db.options(), 1));
    // 140 kB each
    let many: Vec<String> = (0..1_000).map(|n| format!("{n:04}{}", "x".repeat(96))).collect();
    let large = |number| KeyRecord { write: Scope::parse(&many).unwrap(), ..record(number) };
    let records: Vec<KeyRecord> = (0..30).map(large).collect();
    keys.import(&records).await.unwrap();
    let token = Revocation {
        issuer: "i".to_owned(),
        of: Revoked::Token("t".to_owned()),
        until: UnixMicros(i64::MAX),
    };
    keys.revoke_token(&token).await.unwrap();
    let first = database.changes_since(&Followed::default()).await.unwrap();
    assert!(first.more && (5..15).contains(&first.keys.len()), "{}", first.keys.len());
    let mut follower = Follower::default();
    follower.poll(&database).await;
    assert!(records.iter().all(|record| follower.keys[&record.id].as_ref() == Some(record)));
    assert_eq!((follower.keys.len(), follower.revocations.len()), (30, 1));
}

#[tokio::test]
async fn changes_become_visible_in_their_order_whichever_transaction_wants_to_end_first() {
    let db = TestDatabase::migrated().await;
    let (mut keys, database) = (Keys::connect(&db.options()).await.unwrap(), Database::new(&db.options(), 1));
    keys.import(&[record(1), record(2)]).await.unwrap();
    let mut follower = Follower::default();
    follower.poll(&database).await;
    let update =
        |number| format!("update rowcast.api_key set name = 'new' where id = '{}'", record(number).id);
    let (mut slow, mut fast) = (connect(&db).await, connect(&db).await);
    run(&mut slow, format!("begin; {}", update(1))).await;
    // the second one would be done first, and hide the lower number of the first
    let rest = async {
        wait_for("the second change to wait", SOON, || async {
            let waiting = "select count(*) from pg_stat_activity where wait_event = 'advisory' and datname = current_database()";
            match db.psql(waiting).as_str() {
                "1" => Ok(()),
                waiting => Err(waiting.to_owned()),
            }
        })
        .await;
        let before = follower.followed.clone();
        follower.poll(&database).await;
        assert_eq!(follower.followed, before, "nothing is visible yet");
        run(&mut slow, "commit").await;
    };
    tokio::join!(run(&mut fast, update(2)), rest);
    follower.poll(&database).await;
    assert_eq!(follower.live(), live(&db));
}

/// Transactions that change keys of some writers' own, wait, and end one way or the other.
async fn write(db: &TestDatabase, seed: u64) {
    let (mut connection, mut random) = (connect(db).await, StdRng::seed_from_u64(seed));
    for round in 0..40 {
        run(&mut connection, "begin").await;
        for _ in 0..random.random_range(1..4) {
            let id = record(random.random_range(0..30)).id;
            let sql = match random.random_range(0..10) {
                0 => format!("update rowcast.api_key set revoked_at = now() where id = '{id}'"),
                1..4 => format!(
                    "insert into rowcast.api_key (id, name, hashes) values ('{id}', '{seed}.{round}', array[sha256('x')])
                     on conflict (id) do update set name = excluded.name"
                ),
                4..6 => format!(
                    "insert into rowcast.revocation (issuer, kind, value, expires_at) values ('i', 'jti', '{id}', now())
                     on conflict (issuer, kind, value) do update set expires_at = excluded.expires_at"
                ),
                _ => format!("update rowcast.api_key set name = '{seed}.{round}' where id = '{id}'"),
            };
            run(&mut connection, sql).await;
        }
        let end = ["commit", "commit", "rollback"].choose(&mut random).unwrap();
        run(&mut connection, format!("select pg_sleep({}); {end}", random.random_range(0.0..0.004))).await;
    }
}

#[tokio::test]
async fn a_follower_that_polls_amid_many_writers_misses_nothing() {
    let db = TestDatabase::migrated().await;
    let database = Database::new(&db.options(), 1);
    let seed = rand::random::<u32>();
    let mut follower = Follower::default();
    let writers = join_all((0..6).map(|writer| write(&db, u64::from(seed) * 10 + writer)));
    tokio::pin!(writers);
    loop {
        tokio::select! {
            _ = &mut writers => break,
            () = follower.poll(&database) => {}
        }
    }
    follower.poll(&database).await;
    assert_eq!(follower.live(), live(&db), "seed {seed}");
    let known: Vec<String> =
        follower.revocations.iter().map(|(of, until)| format!("{of}={}", until.0)).collect();
    let revocations = db.psql(
        r#"select 'Token("' || value || '")=' || (extract(epoch from expires_at) * 1000000)::bigint
             from rowcast.revocation order by value"#,
    );
    assert_eq!(known.join("\n"), revocations, "seed {seed}");
    assert!(follower.begun == 1 && follower.pages > 10, "{} pages", follower.pages);
}

#[tokio::test]
async fn after_a_deletion_or_a_restore_everything_is_read_again() {
    let db = TestDatabase::migrated().await;
    let (mut keys, database) = (Keys::connect(&db.options()).await.unwrap(), Database::new(&db.options(), 1));
    keys.import(&[record(1), record(2), record(3)]).await.unwrap();
    keys.revoke(record(3).id).await.unwrap();
    let mut follower = Follower::default();
    follower.poll(&database).await;
    for (sql, begun) in [
        (format!("delete from rowcast.api_key where id = '{}'", record(1).id), 2),
        ("delete from rowcast.api_key where false; delete from rowcast.revocation".to_owned(), 2),
        ("select rowcast.purge_keys()".to_owned(), 2),
        ("update rowcast.api_key set revoked_at = '2020-01-01' where revoked_at is not null".to_owned(), 2),
        ("select rowcast.purge_keys()".to_owned(), 3),
        // a volume that was set back gives numbers again
        ("select setval('rowcast.change', 1)".to_owned(), 4),
        ("select setval('rowcast.change', 100)".to_owned(), 4),
        ("update rowcast.epoch set epoch = epoch + 1".to_owned(), 5),
        ("truncate rowcast.api_key".to_owned(), 6),
        ("truncate rowcast.revocation".to_owned(), 7),
    ] {
        db.psql(&sql);
        follower.poll(&database).await;
        assert_eq!((follower.begun, follower.live()), (begun, live(&db)), "{sql}");
    }
}

#[tokio::test]
async fn after_a_promotion_everything_is_read_again() {
    let primary = Postgres::start().unwrap();
    primary.psql("postgres", "create database rowcast").unwrap();
    let options = |server: &Postgres| store::Options::new(&server.url("rowcast"), "test").unwrap();
    store::schema::migrate(&options(&primary), SOON).await.unwrap();
    let mut keys = Keys::connect(&options(&primary)).await.unwrap();
    keys.create(&record(1)).await.unwrap();
    let standby = primary.start_standby().unwrap();
    let (before, after) = (Database::new(&options(&primary), 1), Database::new(&options(&standby), 1));
    let mut follower = Follower::default();
    follower.poll(&before).await;
    follower.poll(&after).await;
    assert_eq!(follower.begun, 1, "a standby has the same history");
    standby.promote().unwrap();
    // a change that the new primary never had, whose number it gives again
    keys.create(&record(2)).await.unwrap();
    follower.poll(&before).await;
    assert_eq!(follower.keys.len(), 2);
    let mut keys = Keys::connect(&options(&standby)).await.unwrap();
    keys.create(&record(3)).await.unwrap();
    follower.poll(&after).await;
    assert_eq!(follower.begun, 2);
    assert_eq!(follower.keys.keys().copied().collect::<Vec<_>>(), sorted([record(1).id, record(3).id]));
}

fn sorted(mut ids: [KeyId; 2]) -> Vec<KeyId> {
    ids.sort();
    ids.into()
}
