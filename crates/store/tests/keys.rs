//! What an operator does with keys and revocations, against a real Postgres.
#![expect(clippy::unwrap_used, reason = "tests")]

use auth::{
    KeyId, KeyRecord, KeyText, Limits, Rate, Revocation, Revoked, Scope, SecretHash, Secrets, UnixMicros,
    new_key,
};
use sqlx::{Connection, PgConnection};
use store::keys::{Imported, KeyError, Keys};
use testkit::TestDatabase;

/// The time of every trial, far from now.
const LATER: UnixMicros = UnixMicros(4_102_444_800_123_456);

async fn fixture() -> (TestDatabase, Keys) {
    let db = TestDatabase::migrated().await;
    let keys = Keys::connect(&db.options()).await.unwrap();
    (db, keys)
}

fn key(number: u8) -> (KeyText, SecretHash) {
    new_key([number; 32], [number; 8])
}

/// A key that uses every column.
fn record(number: u8) -> KeyRecord {
    let (key, hash) = key(number);
    KeyRecord {
        id: key.id(),
        name: format!("boiler {number}"),
        write: Scope::parse(&["acme/*", r"odd\*,\,"]).unwrap(),
        read: Scope::parse(&["acme/1"]).unwrap(),
        limits: Limits {
            readings: Some(Rate::new(0.1, 5).unwrap()),
            requests: Some(Rate::new(Rate::MIN_PER_SECOND, 365).unwrap()),
            connections: Some(3),
            subscriptions: Some(4),
        },
        expires_at: Some(LATER),
        is_revoked: false,
        secrets: Secrets::one(hash),
    }
}

/// One without any limit or right.
fn bare(number: u8) -> KeyRecord {
    let (limits, none) = (Limits::default(), Scope::none());
    KeyRecord { limits, write: none.clone(), read: none, expires_at: None, ..record(number) }
}

async fn stored(keys: &mut Keys) -> Vec<KeyRecord> {
    keys.list(None, 100).await.unwrap().into_iter().map(|stored| stored.record).collect()
}

fn sorted(mut records: Vec<KeyRecord>) -> Vec<KeyRecord> {
    records.sort_by_key(|record| record.id);
    records
}

/// What the audit says was done, oldest first.
fn audit(db: &TestDatabase) -> Vec<String> {
    let lines = db.psql("select concat_ws(' ', action, key_id) from rowcast.key_audit order by no");
    lines.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_key_is_read_back_as_it_was_made() {
    let (db, mut keys) = fixture().await;
    for record in [record(1), bare(2)] {
        keys.create(&record).await.unwrap();
    }
    assert_eq!(stored(&mut keys).await, sorted(vec![record(1), bare(2)]));
    assert!(matches!(keys.create(&bare(1)).await, Err(KeyError::Taken(id)) if id == record(1).id));
    let first = keys.list(None, 1).await.unwrap();
    let second = keys.list(Some(first[0].record.id), 100).await.unwrap();
    assert_eq!((first.len(), second.len()), (1, 1));
    assert!(
        first[0].used_at.is_none() && first[0].revoked_at.is_none() && first[0].created_at > UnixMicros(0)
    );
    assert_eq!(audit(&db).len(), 2);
}

#[tokio::test]
async fn a_rotation_keeps_two_secrets_and_a_retirement_the_newest() {
    let (_db, mut keys) = fixture().await;
    keys.create(&record(1)).await.unwrap();
    let (id, [first, second, third]) = (record(1).id, [1, 2, 3].map(|number| key(number).1));
    assert!(!keys.retire(id).await.unwrap(), "there is one secret");
    let rotated = keys.rotate(id, second).await.unwrap().record;
    assert_eq!(rotated, KeyRecord { secrets: Secrets { newest: second, older: Some(first) }, ..record(1) });
    let rotated = keys.rotate(id, third).await.unwrap().record;
    assert_eq!(rotated.secrets, Secrets { newest: third, older: Some(second) });
    assert!(keys.retire(id).await.unwrap());
    assert_eq!(stored(&mut keys).await[0].secrets, Secrets::one(third));
}

#[tokio::test]
async fn a_key_is_revoked_once_and_for_good() {
    let (_db, mut keys) = fixture().await;
    keys.create(&record(1)).await.unwrap();
    let id = record(1).id;
    assert!(keys.revoke(id).await.unwrap());
    let revoked = keys.list(None, 100).await.unwrap().remove(0);
    assert!(revoked.record.is_revoked);
    assert!(!keys.revoke(id).await.unwrap());
    assert!(matches!(keys.rotate(id, key(2).1).await, Err(KeyError::Revoked(_))));
    assert!(matches!(keys.retire(id).await, Err(KeyError::Revoked(_))));
    assert_eq!(keys.import(&[record(1)]).await.unwrap().unchanged, 1);
    assert_eq!(keys.import(&[bare(1)]).await.unwrap().changed, 1);
    assert_eq!(keys.list(None, 100).await.unwrap()[0].revoked_at, revoked.revoked_at);
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_unknown() {
    let (db, mut keys) = fixture().await;
    let id: KeyId = "000000000000".parse().unwrap();
    assert!(matches!(keys.rotate(id, key(1).1).await, Err(KeyError::Unknown(_))));
    assert!(matches!(keys.retire(id).await, Err(KeyError::Unknown(_))));
    assert!(matches!(keys.revoke(id).await, Err(KeyError::Unknown(_))));
    assert!(!keys.restore_token("issuer", &Revoked::Token("1".to_owned())).await.unwrap());
    assert_eq!(audit(&db), [""; 0]);
}

#[tokio::test]
async fn the_same_import_twice_changes_nothing() {
    let (db, mut keys) = fixture().await;
    let two = KeyRecord { secrets: Secrets { newest: key(9).1, older: Some(key(8).1) }, ..record(3) };
    let records = sorted(vec![record(1), bare(2), two]);
    let all = |created, changed, unchanged| Imported { created, changed, unchanged };
    assert_eq!(keys.import(&records).await.unwrap(), all(3, 0, 0));
    assert_eq!(stored(&mut keys).await, records);
    let state =
        "select changed, used_at from rowcast.api_key order by 1; select count(*) from rowcast.key_audit";
    let before = db.psql(state);
    assert_eq!(keys.import(&records).await.unwrap(), all(0, 0, 3));
    assert_eq!(db.psql(state), before);
    // each column alone is a change
    let limits = |change: fn(&mut Limits)| {
        let mut limits = record(1).limits;
        change(&mut limits);
        KeyRecord { limits, ..record(1) }
    };
    for changed in [
        KeyRecord { name: "other".to_owned(), ..record(1) },
        KeyRecord { write: Scope::all(), ..record(1) },
        KeyRecord { read: Scope::all(), ..record(1) },
        limits(|limits| limits.readings = None),
        limits(|limits| limits.requests = None),
        limits(|limits| limits.connections = None),
        limits(|limits| limits.subscriptions = None),
        KeyRecord { expires_at: None, ..record(1) },
        KeyRecord { secrets: Secrets::one(key(7).1), ..record(1) },
    ] {
        assert_eq!(keys.import(std::slice::from_ref(&changed)).await.unwrap(), all(0, 1, 0));
        assert!(stored(&mut keys).await.contains(&changed));
        assert_eq!(keys.import(&[record(1)]).await.unwrap(), all(0, 1, 0));
    }
}

#[tokio::test]
async fn an_import_stores_all_or_none() {
    let (db, mut keys) = fixture().await;
    let good =
        (0..1_500_u64).map(|number| KeyRecord { id: KeyId::from_random(number.to_le_bytes()), ..bare(1) });
    let mut records: Vec<KeyRecord> = good.collect();
    records.push(KeyRecord { name: String::new(), ..bare(1) });
    assert!(keys.import(&records).await.unwrap_err().is_data_error());
    assert_eq!(stored(&mut keys).await, []);
    records.pop();
    assert_eq!(keys.import(&records).await.unwrap().created, 1_500);
    assert_eq!(db.psql("select count(*), count(distinct changed) from rowcast.api_key"), "1500|1500");
}

#[tokio::test]
async fn a_revocation_is_taken_back_by_its_end_and_never_shortened() {
    let (_db, mut keys) = fixture().await;
    let revocation = |of: Revoked, until| Revocation { issuer: "https://id.example".to_owned(), of, until };
    let (token, subject) = (Revoked::Token("1".to_owned()), Revoked::Subject("1".to_owned()));
    let later = UnixMicros(LATER.0 + 1);
    assert!(keys.revoke_token(&revocation(token.clone(), later)).await.unwrap());
    assert!(!keys.revoke_token(&revocation(token.clone(), LATER)).await.unwrap());
    assert!(keys.revoke_token(&revocation(subject.clone(), LATER)).await.unwrap());
    let both = [revocation(token.clone(), later), revocation(subject.clone(), LATER)];
    assert_eq!(keys.revocations(None, 100).await.unwrap(), both);
    assert_eq!(keys.revocations(Some(&both[0]), 100).await.unwrap(), both[1..]);
    assert_eq!(keys.revocations(None, 1).await.unwrap(), both[..1]);
    assert!(keys.restore_token("https://id.example", &token).await.unwrap());
    assert!(!keys.restore_token("https://id.example", &token).await.unwrap());
    assert!(!keys.restore_token("https://other.example", &subject).await.unwrap());
    assert_eq!(keys.revocations(None, 100).await.unwrap(), both[1..]);
    assert!(keys.revoke_token(&both[0]).await.unwrap());
    assert_eq!(keys.revocations(None, 100).await.unwrap(), both);
}

#[tokio::test]
async fn the_audit_says_who_did_what_and_no_secret() {
    let (db, mut keys) = fixture().await;
    let (id, until) = (record(1).id, LATER);
    keys.create(&record(1)).await.unwrap();
    keys.rotate(id, key(2).1).await.unwrap();
    keys.retire(id).await.unwrap();
    keys.import(&[KeyRecord { name: "renamed".to_owned(), secrets: Secrets::one(key(2).1), ..record(1) }])
        .await
        .unwrap();
    keys.revoke(id).await.unwrap();
    let token = Revoked::Token("t-1".to_owned());
    keys.revoke_token(&Revocation { issuer: "i".to_owned(), of: token.clone(), until }).await.unwrap();
    keys.restore_token("i", &token).await.unwrap();
    // whoever goes past this program is written down, too
    db.psql(&format!("delete from rowcast.api_key where id = '{id}'"));
    let actions = [
        format!("create {id}"),
        format!("rotate {id}"),
        format!("retire {id}"),
        format!("change {id}"),
        format!("revoke {id}"),
        "revoke-token".to_owned(),
        "restore-token".to_owned(),
        format!("delete {id}"),
    ];
    assert_eq!(audit(&db), actions);
    let of = |action: &str| {
        db.psql(&format!(
            "select actor, detail - 'application' from rowcast.key_audit where action = '{action}'"
        ))
    };
    assert_eq!(of("change"), r#"postgres|{"name": "renamed"}"#);
    assert_eq!(of("rotate"), "postgres|{}");
    assert!(of("create").contains(r#""write_patterns": ["acme/*""#), "{}", of("create"));
    assert!(of("revoke-token").contains(r#""value": "t-1""#), "{}", of("revoke-token"));
    assert_eq!(
        db.psql("select distinct detail ->> 'application' from rowcast.key_audit order by 1"),
        "psql\ntest"
    );
    let all = db.psql("select * from rowcast.key_audit");
    for number in [1, 2] {
        assert!(!all.contains(&key(number).1.to_hex()) && !all.contains("hashes"), "{all}");
    }
}

#[tokio::test]
async fn use_is_noted_once_a_minute_and_waits_for_nobody() {
    let (db, mut keys) = fixture().await;
    let records = [record(1), bare(2)];
    keys.import(&records).await.unwrap();
    let ids = records.map(|record| record.id);
    let database = store::Database::new(&db.options(), 2);
    let used =
        || db.psql("select count(used_at), count(distinct used_at), min(changed) from rowcast.api_key");
    // somebody is changing one of them
    let mut other = PgConnection::connect(&db.url).await.unwrap();
    let mut change = other.begin().await.unwrap();
    sqlx::query("update rowcast.api_key set name = 'x' where id = $1")
        .bind(ids[0].as_str())
        .execute(&mut *change)
        .await
        .unwrap();
    database.note_use(&ids).await.unwrap();
    assert_eq!(used(), "1|1|1");
    change.rollback().await.unwrap();
    database.note_use(&ids).await.unwrap();
    assert_eq!(used(), "2|2|1");
    let noted = "select string_agg(used_at::text, ',' order by id) from rowcast.api_key";
    let first = db.psql(noted);
    database.note_use(&ids).await.unwrap();
    assert_eq!(db.psql(noted), first, "less than a minute ago");
    db.psql("update rowcast.api_key set used_at = now() - interval '61 s'");
    database.note_use(&ids).await.unwrap();
    assert_eq!(db.psql("select count(*) from rowcast.api_key where used_at > now() - interval '60 s'"), "2");
    assert!(keys.list(None, 100).await.unwrap().iter().all(|key| key.used_at.is_some()));
    assert_eq!(audit(&db).len(), 2, "use is no change");
}

#[tokio::test]
async fn what_ended_long_ago_is_deleted_by_those_who_end_more() {
    let (db, mut keys) = fixture().await;
    keys.import(&[record(1), bare(2), bare(3)]).await.unwrap();
    let ids = [1, 2, 3].map(|number| record(number).id);
    for id in &ids[..2] {
        keys.revoke(*id).await.unwrap();
    }
    let token =
        |jti: &str| Revocation { issuer: "i".to_owned(), of: Revoked::Token(jti.to_owned()), until: LATER };
    keys.revoke_token(&token("old")).await.unwrap();
    db.psql(&format!(
        "update rowcast.api_key set revoked_at = now() - interval '31 days' where id = '{}';
         update rowcast.api_key set revoked_at = now() - interval '29 days' where id = '{}';
         update rowcast.revocation set expires_at = now() - interval '31 days'",
        ids[0], ids[1]
    ));
    keys.revoke_token(&token("new")).await.unwrap();
    assert_eq!(stored(&mut keys).await.len(), 2);
    assert_eq!(db.psql("select value from rowcast.revocation"), "new");
}
