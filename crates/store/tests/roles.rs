//! Each role may do what its service does, and nothing else.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use auth::{KeyRecord, Limits, Revocation, Revoked, Scope, Secrets, UnixMicros, new_key};
use store::{
    Database, Inserter, Leader, NewReading, Options,
    history::{ALL_TIME, Order, PageQuery},
    keys::{Followed, Keys},
    readings::once::{Answer, Claim, Kept, RequestId, Scoped},
};
use testkit::TestDatabase;
use tokio::time::Instant;
use wire::{Filter, Position};

fn options(url: &str) -> Options {
    Options::new(url, "test").unwrap()
}

fn record() -> KeyRecord {
    let (key, hash) = new_key([1; 32], [1; 8]);
    KeyRecord {
        id: key.id(),
        name: "boiler".to_owned(),
        write: Scope::all(),
        read: Scope::none(),
        limits: Limits::default(),
        expires_at: None,
        is_revoked: false,
        secrets: Secrets::one(hash),
    }
}

async fn follows_keys(database: &Database) {
    let changes = database.changes_since(&Followed::default()).await.unwrap();
    assert_eq!(changes.keys.len(), 1);
    database.note_use(&[record().id]).await.unwrap();
}

#[tokio::test]
async fn each_role_is_enough_for_its_service() {
    let db = TestDatabase::migrated().await;
    let mut keys = Keys::connect(&options(&db.url_as("rowcast_keys"))).await.unwrap();
    let token = Revoked::Token("t".to_owned());
    keys.create(&record()).await.unwrap();
    keys.import(&[KeyRecord { name: "other".to_owned(), ..record() }]).await.unwrap();
    keys.rotate(record().id, new_key([2; 32], [1; 8]).1).await.unwrap();
    assert!(keys.retire(record().id).await.unwrap());
    keys.revoke_token(&Revocation { issuer: "i".to_owned(), of: token.clone(), until: UnixMicros(i64::MAX) })
        .await
        .unwrap();
    assert_eq!(keys.revocations(None, 10).await.unwrap().len(), 1);
    assert!(keys.restore_token("i", &token).await.unwrap());
    assert!(keys.revoke(record().id).await.unwrap());
    assert_eq!(keys.list(None, 10).await.unwrap().len(), 1);

    let ingest = options(&db.url_as("rowcast_ingest"));
    let mut inserter = Inserter::connect(&ingest).await.unwrap();
    let reading = NewReading {
        sensor_id: "a".to_owned(),
        value: 1.0,
        timestamp: None,
        metadata: "{}".to_owned(),
        traceparent: None,
        key: None,
    };
    inserter.insert(&[&reading], Instant::now() + Duration::from_secs(10)).await.unwrap();
    let keyed = NewReading { key: Some("k".to_owned()), ..reading };
    for is_new in [true, false] {
        let mut transaction = inserter.begin_keyed(Instant::now() + Duration::from_secs(10)).await.unwrap();
        let id = RequestId::new("anonymous", &is_new.to_string());
        assert_eq!(transaction.claim(&[id]).await.unwrap(), [Claim::Free]);
        let stored = transaction.insert(&[Scoped { scope: "anonymous", reading: &keyed }]).await.unwrap();
        assert_eq!(stored.unwrap()[0].is_new, is_new);
        let answer = Answer { status: 204, content_type: None, body: Vec::new() };
        transaction.keep(&[(id, Kept { request: [0; 32], answer })]).await.unwrap();
        assert!(transaction.commit().await.unwrap());
    }
    let mut leader = Leader::connect(&options(&db.url_as("rowcast_listener")), "test").await.unwrap();
    leader.maintain(None, Duration::from_secs(86_400), 1).await.unwrap();
    let database = Database::new(&ingest, 1);
    database.check_schema().await.unwrap();
    assert!(database.accepts_readings().await.unwrap());
    follows_keys(&database).await;

    let database = Database::new(&options(&db.url_as("rowcast_gateway")), 1);
    database.check_schema().await.unwrap();
    let head = database.head().await.unwrap();
    let end = Position::after_tick(head.epoch, head.last_tick);
    database.latest(&Filter::All, end, None, 10).await.unwrap();
    database.read(Position::after_tick(head.epoch, head.first_tick), head.last_tick, 10).await.unwrap();
    let all =
        PageQuery { filter: &Filter::All, span: ALL_TIME, order: Order::Ascending, after: None, limit: 10 };
    assert_eq!(database.readings(all, 1 << 20).await.unwrap().rows.len(), 2);
    follows_keys(&database).await;
    let audit = "select string_agg(distinct split_part(actor, '_of_', 1), ',') from rowcast.key_audit";
    assert_eq!(db.psql(audit), "rowcast_keys");
}

/// What a role has in the schemas of Rowcast, beside what everyone has: columns without their table's right, and functions
/// that not everyone may call.
fn rights(db: &TestDatabase, role: &str) -> String {
    db.psql(&format!(
        "with relations as (
             select c.oid, c.relname, c.relkind from pg_class c
              where c.relnamespace in ('rowcast'::regnamespace, 'public'::regnamespace) and c.relkind in ('r', 'p', 'S', 'v', 'm'))
         select format('%s %s', p, relname) from relations, unnest('{{select,insert,update,delete,truncate,references,trigger}}'::text[]) p
          where relkind <> 'S' and has_table_privilege('{role}', oid, p)
         union all
         select format('%s %s (%s)', p, relname, string_agg(attname, ', ' order by attnum))
           from relations join pg_attribute on attrelid = oid and attnum > 0 and not attisdropped,
                unnest('{{select,insert,update,references}}'::text[]) p
          where relkind <> 'S' and not has_table_privilege('{role}', oid, p) and has_column_privilege('{role}', oid, attnum, p)
          group by p, relname
         union all
         select format('%s %s', p, relname) from relations, unnest('{{select,update,usage}}'::text[]) p
          where relkind = 'S' and has_sequence_privilege('{role}', oid, p) and not has_sequence_privilege('nobody_{name}', oid, p)
         union all
         select 'execute ' || proname from pg_proc
          where pronamespace in ('rowcast'::regnamespace, 'public'::regnamespace)
            and has_function_privilege('{role}', oid, 'execute') and not has_function_privilege('nobody_{name}', oid, 'execute')
         union all
         select 'create in ' || nspname from pg_namespace
          where nspname in ('rowcast', 'public') and has_schema_privilege('{role}', oid, 'create')
         order by 1",
        name = db.name
    ))
}

#[tokio::test]
async fn no_role_has_a_right_that_is_not_listed_here() {
    let db = TestDatabase::migrated().await;
    db.psql(&format!("create role nobody_{}", db.name));
    let key = "name, write_patterns, read_patterns, readings_per_second, readings_burst, requests_per_second, requests_burst, connections, subscriptions, expires_at";
    let follow = format!(
        "execute change_state
execute note_use
select _sqlx_migrations
select api_key (id, {key}, revoked_at, hashes, changed)
select revocation"
    );
    let check = |role: &str, expected: &[&str]| {
        let mut expected: Vec<&str> = expected.iter().flat_map(|lines| lines.lines()).collect();
        expected.sort_unstable();
        let found = rights(&db, role);
        let mut found: Vec<&str> = found.lines().collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{role}");
    };
    check(
        "rowcast_keys",
        &[
            "execute purge_keys",
            &format!("insert api_key (id, {key}, hashes)"),
            "insert revocation (issuer, kind, value, expires_at)",
            "select _sqlx_migrations\nselect api_key\nselect key_audit\nselect revocation",
            &format!("update api_key ({key}, revoked_at, hashes)"),
            "update revocation (expires_at)",
        ],
    );
    check(
        "rowcast_ingest",
        &[
            &follow,
            "insert sensor_readings (id, sensor_id, value, timestamp, metadata, reading_key, traceparent)",
            "select sensor_readings\nusage sensor_readings_id_seq",
            "execute claim_requests\nselect request_key\nselect reading_key",
            "insert request_key (id, request, status, content_type, body)",
            "insert reading_key (id, reading_id, value, timestamp)",
        ],
    );
    check("rowcast_gateway", &[&follow, "select sensor_readings\nselect tick\nselect epoch"]);
    check(
        "rowcast_listener",
        &[
            "execute adopt\nexecute begin_epoch\nexecute forget_keys\nexecute maintain\nexecute renumber",
            "insert tick\nselect tick\nselect epoch\nselect _sqlx_migrations\nselect sensor_readings",
            "update gate",
        ],
    );
    assert_eq!(rights(&db, &format!("nobody_{}", db.name)), "");
}
