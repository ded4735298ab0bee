//! Behind a real pooler that shares sessions: settings and statements of one client do not affect another.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use sqlx::{Executor, PgConnection};
use store::{
    Budget, Database, DatabaseConfig, Inserter, Leader, NewReading, Options, Pooler,
    history::{ALL_TIME, Order, PageQuery},
    readings::Inserted,
};
use testkit::{PgBouncer, TestDatabase, pgbouncer::PoolMode};
use tokio::time::Instant;
use wire::{Filter, Pattern, Position, Reading, Tick};

/// How long a statement may take here.
const LIMIT: Duration = Duration::from_millis(700);

/// The database behind a pooler with one session, which all clients share.
async fn shared() -> (TestDatabase, PgBouncer, Options) {
    let db = TestDatabase::migrated().await;
    let pooler = PgBouncer::start(TestDatabase::server(), PoolMode::Transaction, 1, &[]).unwrap();
    let config = DatabaseConfig { pooler: Pooler::Transaction, ..DatabaseConfig::at(&pooler.url(&db.name)) };
    let options = config.options("test").unwrap().statement_timeout(LIMIT);
    (db, pooler, options)
}

/// Another client of the pooler.
async fn stranger(pooler: &PgBouncer, db: &TestDatabase) -> PgConnection {
    Options::new(&pooler.url(&db.name), "stranger").unwrap().connect().await.unwrap()
}

/// The newest readings, of one sensor where it is given.
async fn newest(database: &Database, sensor_id: Option<&str>, limit: usize) -> store::Result<Vec<Reading>> {
    let filter = sensor_id.map_or(Filter::All, |id| Filter::Any(vec![Pattern::Exact(id.to_owned())]));
    let wanted = PageQuery { filter: &filter, span: ALL_TIME, order: Order::Descending, after: None, limit };
    Ok(database.readings(wanted, 1 << 20).await?.rows)
}

fn reading(sensor_id: &str, metadata: &str) -> NewReading {
    let (sensor_id, metadata) = (sensor_id.to_owned(), metadata.to_owned());
    NewReading { sensor_id, value: 1.0, timestamp: None, metadata, traceparent: None, key: None }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

/// What another client may set, and the values that an INSERT must have nevertheless.
const SETTINGS: [(&str, &str, &str); 8] = [
    ("role", "stranger", "none"),
    ("search_path", "nowhere", "\"$user\", public"),
    ("synchronous_commit", "off", "on"),
    ("default_transaction_read_only", "on", "off"),
    ("default_transaction_isolation", "serializable", "read committed"),
    ("statement_timeout", "1min", "700ms"),
    ("lock_timeout", "2min", "0"),
    ("rowcast.doorbell", "off", ""),
];

#[tokio::test]
async fn settings_and_statements_of_others_in_a_shared_session_have_no_effect() {
    let (db, pooler, options) = shared().await;
    db.psql(&format!("create role stranger; alter database {} set synchronous_commit = off", db.name));
    let names: Vec<_> = SETTINGS.iter().map(|(name, ..)| format!("('{name}')")).collect();
    db.psql(&format!(
        "create table seen (name text, value text);
         create function see() returns trigger language plpgsql as $$ begin
           insert into public.seen select name, current_setting(
             case name when 'default_transaction_isolation' then 'transaction_isolation' else name end)
             from (values {}) names (name);
           return null; end $$;
         create constraint trigger see after insert on sensor_readings deferrable initially deferred
           for each row execute function see();",
        names.join(", ")
    ));
    let database = Database::new(&options, 4);
    let mut stranger = stranger(&pooler, &db).await;
    for (name, theirs, _) in SETTINGS.into_iter().rev() {
        let set = format!("set {name} = '{theirs}'");
        stranger.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(set))).await.unwrap();
    }
    // the names that the driver uses
    for number in 1..4 {
        let prepare = format!("prepare sqlx_s_{number} as select 'of another'");
        stranger.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(prepare))).await.unwrap();
    }
    let mut inserter = Inserter::connect(&options).await.unwrap();
    let mut leader = Leader::connect(&db.options(), "test").await.unwrap();
    let start = leader.load(Budget::rows(0)).await.unwrap().head;
    let filter = Filter::parse(Some(&["a", "s*"])).unwrap();
    for round in 1..4 {
        assert!(inserter.is_alive().await);
        let stored = inserter.insert(&[&reading("a", "{}")], soon()).await.unwrap();
        let Inserted::Stored(stored) = stored else { panic!("too late") };
        assert_eq!(stored.read().unwrap()[0].metadata, "{}");
        leader
            .advance(start.epoch, database.head().await.unwrap().last_tick, Budget::rows(10))
            .await
            .unwrap();
        let (head, first) =
            (database.head().await.unwrap(), Position::after_tick(start.epoch, start.last_tick));
        let end = Position::after_tick(head.epoch, head.last_tick);
        database.check_schema().await.unwrap();
        database.identity().await.unwrap();
        database.log_extent().await.unwrap();
        database.since(Duration::from_secs(1)).await.unwrap();
        assert_eq!(database.read(first, Tick(i64::MAX), 10).await.unwrap().ticks.len(), round);
        assert_eq!(database.latest(&filter, end, None, 10).await.unwrap().newest.len(), 1);
        assert_eq!(newest(&database, Some("a"), 10).await.unwrap().len(), round);
        assert_eq!(database.sensor("a").await.unwrap().unwrap().newest.sensor_id, "a");
        assert!(database.accepts_readings().await.unwrap());
    }
    for (name, theirs, ours) in SETTINGS {
        // an INSERT uses `on` even where the database's default is `off`
        let seen =
            db.psql(&format!("select string_agg(distinct value, '|') from seen where name = '{name}'"));
        assert_eq!(seen, ours, "{name}");
        let kept = sqlx::AssertSqlSafe(format!("select current_setting('{name}')"));
        let kept: String = sqlx::query_scalar(kept).persistent(false).fetch_one(&mut stranger).await.unwrap();
        assert_eq!(kept, theirs, "{name}");
    }
    let prepared = "select string_agg(name, ' ' order by name) from pg_prepared_statements where name <> ''";
    let prepared: String =
        sqlx::query_scalar(prepared).persistent(false).fetch_one(&mut stranger).await.unwrap();
    assert_eq!(prepared, "sqlx_s_1 sqlx_s_2 sqlx_s_3");
}

#[tokio::test]
async fn a_statement_in_a_shared_session_is_cancelled_at_its_timeout() {
    let (db, pooler, options) = shared().await;
    let database = Database::new(&options, 1);
    newest(&database, None, 1).await.unwrap();
    let mut stranger = stranger(&pooler, &db).await;
    stranger.execute("set statement_timeout = 0").await.unwrap();
    let mut other = db.options().connect().await.unwrap();
    other.execute("begin; lock table sensor_readings").await.unwrap();
    assert!(newest(&database, None, 1).await.unwrap_err().is_timeout());
    let mut inserter = Inserter::connect(&options).await.unwrap();
    let refused = inserter.insert(&[&reading("a", "{}")], soon()).await;
    assert!(refused.is_err_and(|error| error.is_timeout()));
    drop(inserter);
    other.execute("rollback").await.unwrap();
    assert!(newest(&database, None, 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_commit_that_comes_too_late_stores_nothing() {
    let (db, _pooler, options) = shared().await;
    db.psql(
        "create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.5); return null; end $$;
         create trigger slow after insert on sensor_readings for each statement execute function slow();",
    );
    let mut inserter = Inserter::connect(&options).await.unwrap();
    let late = inserter.insert(&[&reading("a", "{}")], Instant::now() + Duration::from_millis(300)).await;
    assert!(matches!(late.unwrap(), Inserted::TooLate));
    drop(inserter);
    assert_eq!(db.psql("select count(*) from sensor_readings"), "0");
    let mut inserter = Inserter::connect(&options).await.unwrap();
    let stored = inserter.insert(&[&reading("a", "{}")], soon()).await.unwrap();
    assert!(matches!(stored, Inserted::Stored(_)));
    assert_eq!(db.psql("select count(*) from sensor_readings"), "1");
}

#[tokio::test]
async fn refused_data_leaves_a_shared_session_usable() {
    let (db, _pooler, options) = shared().await;
    let mut inserter = Inserter::connect(&options).await.unwrap();
    for _ in 0..3 {
        let refused = inserter.insert(&[&reading("a", "{")], soon()).await;
        assert!(refused.is_err_and(|error| error.is_data_error()));
        assert!(inserter.is_alive().await);
        let stored = inserter.insert(&[&reading("a", "{}")], soon()).await.unwrap();
        assert!(matches!(stored, Inserted::Stored(_)));
    }
    assert_eq!(db.psql("select count(*) from sensor_readings"), "3");
}

#[tokio::test]
async fn a_shared_session_that_is_not_configured_as_one_is_reported() {
    let (db, pooler, _) = shared().await;
    let unconfigured = Options::new(&pooler.url(&db.name), "test").unwrap();
    let (one, other) = (Database::new(&unconfigured, 1), Database::new(&unconfigured, 1));
    one.head().await.unwrap();
    let error = other.head().await.unwrap_err();
    assert_eq!(error.to_string(), "a pooler shares sessions: database.pooler must be transaction");
}
