//! The migrator against a real Postgres.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use sqlx::{Connection, PgConnection, migrate::Migrator};
use store::{Database, Options, SchemaError, keys::Followed, schema};
use testkit::{Postgres, TestDatabase};

const DEADLINE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_second_run_applies_nothing() {
    let db = TestDatabase::empty();
    let first = schema::migrate(&db.options(), DEADLINE).await.unwrap();
    assert_eq!(first.version, schema::required_version());
    assert_eq!(first.applied.len() as i64, schema::required_version());
    let second = schema::migrate(&db.options(), DEADLINE).await.unwrap();
    assert_eq!(second.applied, []);
}

#[tokio::test]
async fn two_migrators_at_once_share_the_work() {
    let db = TestDatabase::empty();
    let options = db.options();
    let (a, b) = tokio::join!(schema::migrate(&options, DEADLINE), schema::migrate(&options, DEADLINE));
    assert_eq!(a.unwrap().applied.len() + b.unwrap().applied.len(), schema::required_version() as usize);
}

#[tokio::test]
async fn a_schema_that_is_too_old_is_named_with_both_versions() {
    let db = TestDatabase::empty();
    let database = Database::new(&db.options(), 1);
    let needed = schema::required_version();
    assert!(
        matches!(database.check_schema().await, Err(SchemaError::TooOld { found: 0, needed: n }) if n == needed)
    );
    schema::migrate(&db.options(), DEADLINE).await.unwrap();
    database.check_schema().await.unwrap();
    db.psql("delete from rowcast._sqlx_migrations where version > 1");
    assert!(matches!(database.check_schema().await, Err(SchemaError::TooOld { found: 1, .. })));
}

#[tokio::test]
async fn a_database_that_does_not_answer_ends_the_wait_at_the_deadline() {
    let options = store::Options::new("postgres://user@127.0.0.1:1/none", "test").unwrap();
    let error = schema::migrate(&options, Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, SchemaError::Unreachable(..)), "{error:?}");
}

/// The demo's table, as its ORM made it, with the rows it took.
const DEMO: &str = r#"
    create table sensor_readings (
        id bigserial primary key, sensor_id varchar(100) not null, value double precision not null,
        "timestamp" timestamptz not null, metadata jsonb not null,
        created_at timestamptz not null, updated_at timestamptz not null);
    create index sensor_readings_sensor_idx on sensor_readings (sensor_id);
    create function notify_sensor_update() returns trigger language plpgsql as
        $$ begin perform pg_notify('sensor_updates', row_to_json(new)::text); return new; end $$;
    create trigger sensor_update_trigger after insert on sensor_readings
        for each row execute function notify_sensor_update();
    insert into sensor_readings (sensor_id, value, "timestamp", metadata, created_at, updated_at) values
        ('a', 1.5, '2026-01-02 03:04:05+00', '{"k": [1]}', '2026-01-02 03:04:06+00', '2026-01-02 03:04:07+00'),
        ('b', 'NaN', now(), '{}', now(), now()),
        ('c', 3, now(), '{}', now(), now());
"#;

#[tokio::test]
async fn the_demo_s_table_is_taken_over_with_its_rows() {
    let db = TestDatabase::empty();
    db.psql(DEMO);
    let migrated = schema::migrate(&db.options(), DEADLINE).await.unwrap();
    assert_eq!(migrated.set_aside, 1);
    assert_eq!(db.psql("select id || sensor_id || value from sensor_readings order by id"), "1a1.5\n3c3");
    assert_eq!(
        db.psql(r#"set timezone = 'UTC'; select "timestamp", metadata, created_at, updated_at from sensor_readings where id = 1"#),
        "2026-01-02 03:04:05+00|{\"k\": [1]}|2026-01-02 03:04:06+00|2026-01-02 03:04:07+00"
    );
    assert_eq!(db.psql("select sensor_id from rowcast.unfit_readings"), "b");
    // the sequence continues after the demo's ids, and the demo's INSERT still works
    db.psql(
        r#"insert into sensor_readings (sensor_id, value, "timestamp", metadata, created_at, updated_at)
               values ('d', 4, now(), '[]', now(), now())"#,
    );
    assert_eq!(db.psql("select id from sensor_readings where sensor_id = 'd'"), "4");
    // what the demo stored is history: only the new row is ahead of the log
    assert_eq!(
        db.psql("select coalesce(sensor_id, 'tick of ' || tick_rows) from rowcast.advance((select max(epoch) from rowcast.epoch), 1, 'test', 10)"),
        "d\ntick of 1"
    );
}

#[tokio::test]
async fn sql_writers_cannot_store_what_no_client_could_receive() {
    let db = TestDatabase::migrated().await;
    for (values, constraint) in [
        ("('', 1, now())", "sensor_id_is_1_to_100_characters"),
        ("(repeat('x', 101), 1, now())", "sensor_id_is_1_to_100_characters"),
        (r"(E'a\x07', 1, now())", "sensor_id_has_no_control_character"),
        ("(U&'a\\0085', 1, now())", "sensor_id_has_no_control_character"),
        ("('a', 'NaN', now())", "value_is_finite"),
        ("('a', '-infinity', now())", "value_is_finite"),
        ("('a', 1, 'infinity')", "times_have_four_digit_years"),
        ("('a', 1, '20000-01-01')", "times_have_four_digit_years"),
    ] {
        let sql = format!(r#"insert into sensor_readings (sensor_id, value, "timestamp") values {values}"#);
        let error = testkit::postgres::psql(&db.url, &sql).unwrap_err().to_string();
        assert!(error.contains(constraint), "{values}: {error}");
    }
    db.psql(
        "insert into sensor_readings (sensor_id, value) values (repeat('ä', 100), 1.7976931348623157e308)",
    );
}

#[tokio::test]
async fn the_insert_privilege_is_enough() {
    let db = TestDatabase::migrated().await;
    let role = format!("writer_{}", std::process::id());
    db.psql(&format!(
        "create role {role};
         grant insert (sensor_id, value) on public.sensor_readings to {role};
         grant usage on sequence public.sensor_readings_id_seq to {role}"
    ));
    for gate in [1, 2] {
        db.psql(&format!(
            "select setval('rowcast.gate', {gate});
             set role {role}; insert into public.sensor_readings (sensor_id, value) values ('s', {gate})"
        ));
    }
    assert_eq!(db.psql("select count(*) from public.sensor_readings"), "2");
    db.psql(&format!("drop owned by {role}; drop role {role}"));
}

#[tokio::test]
async fn a_tick_of_a_listener_of_the_release_before_counts() {
    let db = TestDatabase::migrated().await;
    for rows in [2, 3] {
        db.psql(&format!(
            "insert into sensor_readings (sensor_id, value) select 'a', 1 from generate_series(1, {rows})"
        ));
        db.psql("select count(*) from rowcast.advance((select max(epoch) from rowcast.epoch), (select max(no) from rowcast.tick), 'before', 10, 1000, false)");
    }
    assert_eq!(
        db.psql("select rows || ' of ' || total from rowcast.tick order by no"),
        "0 of 0\n2 of 2\n3 of 5"
    );
}

/// Brings a database to the schema of a release before.
async fn migrate_to(db: &TestDatabase, version: i64) {
    let mut migrator: Migrator = sqlx::migrate!("../../migrations");
    migrator.migrations.to_mut().retain(|migration| migration.version <= version);
    migrator.set_locking(false).dangerous_set_table_name("rowcast._sqlx_migrations");
    db.psql("create schema rowcast");
    migrator.run(&mut PgConnection::connect(&db.url).await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_database_of_the_release_before_gets_keys_and_keeps_all_else() {
    let db = TestDatabase::empty();
    migrate_to(&db, 9).await;
    db.psql("insert into sensor_readings (sensor_id, value) values ('a', 1)");
    // what services of that release may call, and what they may do with each table
    let functions = "select oid::regprocedure from pg_proc
                      where pronamespace in ('rowcast'::regnamespace, 'public'::regnamespace)";
    let tables = "select relname, relacl from pg_class
                   where relnamespace = 'rowcast'::regnamespace and relname <> '_sqlx_migrations'";
    let before = [functions, tables].map(|sql| db.psql(sql));
    let migrated = schema::migrate(&db.options(), DEADLINE).await.unwrap();
    assert_eq!(migrated.applied[0], (10, "keys".to_owned()));
    for (sql, before) in [functions, tables].into_iter().zip(before) {
        let after = db.psql(sql);
        assert!(before.lines().all(|one| after.lines().any(|other| other == one)), "{before}\n\n{after}");
    }
    assert_eq!(db.psql("select sensor_id from sensor_readings"), "a");
    let changes = Database::new(&db.options(), 1).changes_since(&Followed::default()).await.unwrap();
    assert!(changes.is_anew && changes.keys.is_empty() && !changes.more);
}

#[tokio::test]
async fn an_owner_who_may_make_no_roles_can_migrate_and_follow_keys() {
    let server = Postgres::start().unwrap();
    server.psql("postgres", "create role owner login").unwrap();
    server.psql("postgres", "create database rowcast owner owner").unwrap();
    let url = server.url("rowcast").replace("postgres@", "owner@");
    let options = Options::new(&url, "test").unwrap();
    let migrated = schema::migrate(&options, DEADLINE).await.unwrap();
    assert_eq!(migrated.version, schema::required_version());
    assert_eq!(
        server.psql("postgres", "select count(*) from pg_roles where rolname like 'rowcast%'").unwrap(),
        "0"
    );
    assert!(Database::new(&options, 1).changes_since(&Followed::default()).await.unwrap().is_anew);
}
