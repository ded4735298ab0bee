//! Whatever a SQL writer puts into its rows, each is delivered once, at a position of its own.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use store::{Advance, Budget, Database, Leader};
use testkit::TestDatabase;
use wire::{Filter, Position};

/// A leader and the rows delivered so far.
struct Fixture {
    leader: Leader,
    database: Database,
    sql: PgConnection,
    delivered: Vec<(i64, i64, String)>,
}

impl Fixture {
    async fn at(db: &TestDatabase) -> Self {
        Self {
            leader: Leader::connect(&db.options(), "test").await.unwrap(),
            database: Database::new(&db.options(), 1),
            sql: PgConnection::connect(&db.url).await.unwrap(),
            delivered: Vec::new(),
        }
    }

    async fn sql(&mut self, sql: &str) {
        let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.sql).await;
        assert!(done.is_ok(), "{sql}: {done:?}");
    }

    /// Takes a tick and returns the sensors in it.
    async fn tick(&mut self, budget: Budget) -> Vec<String> {
        let head = self.leader.load(Budget::rows(0)).await.unwrap().head;
        if let Advance::Made { .. } = self.leader.advance(head.epoch, head.last_tick, budget).await.unwrap() {
            let begin = Position::after_tick(head.epoch, head.last_tick);
            let new = self.log(begin, 10_000).await;
            self.delivered.extend(new.iter().cloned());
            return new.into_iter().map(|(_, _, sensor)| sensor).collect();
        }
        Vec::new()
    }

    /// Tick, id and sensor of everything after that position, by pages.
    async fn log(&self, mut at: Position, page: i64) -> Vec<(i64, i64, String)> {
        let head = self.database.head().await.unwrap();
        let mut log = Vec::new();
        while at < Position::after_tick(head.epoch, head.last_tick) {
            let page = self.database.read(at, head.last_tick, page).await.unwrap();
            assert!(page.covered > at, "a page moves on");
            at = page.covered;
            let readings =
                page.ticks.into_iter().flat_map(|t| t.readings.into_iter().map(move |r| (t.tick.0, r)));
            log.extend(readings.map(|(tick, r)| (tick, r.id, r.sensor_id)));
        }
        log
    }

    async fn check_all_delivered_once(&mut self) {
        let rows: Vec<String> = sqlx::query_scalar("select sensor_id from sensor_readings order by 1")
            .fetch_all(&mut self.sql)
            .await
            .unwrap();
        let mut delivered: Vec<String> = self.delivered.iter().map(|(_, _, sensor)| sensor.clone()).collect();
        delivered.sort();
        assert_eq!(delivered, rows);
        let positions: BTreeSet<_> = self.delivered.iter().map(|(tick, id, _)| (tick, id)).collect();
        assert_eq!(positions.len(), self.delivered.len(), "a position names one reading");
    }
}

const ALL: Budget = Budget::rows(10_000);

#[tokio::test]
async fn rows_with_a_given_transaction_or_an_impossible_id_are_delivered() {
    let db = TestDatabase::migrated().await;
    let mut fixture = Fixture::at(&db).await;
    for (columns, values) in [
        ("xid", "'99999999999'"),
        ("xid", "'3'"),
        ("xid", "null"),
        ("id", "0"),
        ("id", "-7"),
        ("id", "9223372036854775807"),
    ] {
        fixture
            .sql(&format!(
                "insert into sensor_readings (sensor_id, value, {columns}) values ('s', 1, {values})"
            ))
            .await;
        assert_eq!(fixture.tick(ALL).await, ["s"], "{columns} {values}");
    }
    // rows that are copied back are new rows
    fixture.sql("create table copy as select * from sensor_readings; delete from sensor_readings").await;
    fixture.sql("insert into sensor_readings select * from copy").await;
    assert_eq!(fixture.tick(ALL).await.len(), 6);
    // as replication and a data-only restore write
    fixture.sql("set session_replication_role = replica").await;
    fixture
        .sql("insert into sensor_readings (sensor_id, value, xid) values ('applied', 1, '99999999999')")
        .await;
    assert_eq!(fixture.tick(ALL).await, ["applied"]);
    // an UPDATE moves nothing to another tick
    fixture
        .sql("set session_replication_role = origin; update sensor_readings set xid = '99999999999'")
        .await;
    assert_eq!(fixture.tick(ALL).await, [""; 0]);
    let head = fixture.database.head().await.unwrap();
    assert_eq!(fixture.log(Position::after_tick(head.epoch, head.first_tick), 10).await.len(), 7);
}

#[tokio::test]
async fn a_truncated_table_that_counts_from_one_again_is_delivered() {
    let db = TestDatabase::migrated().await;
    let mut fixture = Fixture::at(&db).await;
    fixture
        .sql("insert into sensor_readings (sensor_id, value) select 'old', 1 from generate_series(1, 500)")
        .await;
    // a dump restored elsewhere: everything there is history
    fixture.sql("update rowcast.epoch set system_identifier = 5").await;
    assert!(fixture.leader.begin_epoch(false).await.unwrap());
    assert_eq!(fixture.tick(ALL).await, [""; 0]);
    fixture.sql("truncate sensor_readings restart identity").await;
    fixture.sql("insert into sensor_readings (sensor_id, value) values ('new', 1)").await;
    assert_eq!(fixture.tick(ALL).await, ["new"]);
}

#[tokio::test]
async fn a_history_from_an_older_cluster_has_its_newest_readings() {
    let db = TestDatabase::migrated().await;
    let mut fixture = Fixture::at(&db).await;
    // transactions of a much older cluster, as in a restored dump
    fixture.sql("alter table sensor_readings disable trigger user").await;
    fixture
        .sql(r#"insert into sensor_readings (sensor_id, value, "timestamp", xid) values ('a', 7, '2024-05-05 12:00Z', '99999999999')"#)
        .await;
    fixture.sql("alter table sensor_readings enable always trigger sensor_readings_correct_row").await;
    fixture.sql("update rowcast.epoch set system_identifier = 5").await;
    assert!(fixture.leader.begin_epoch(false).await.unwrap());
    let latest = async |fixture: &Fixture| {
        let head = fixture.database.head().await.unwrap();
        let at = Position::after_tick(head.epoch, head.last_tick);
        let latest = fixture.database.latest(&Filter::All, at, None, 10).await.unwrap().newest;
        latest.into_iter().map(|reading| reading.value).collect::<Vec<_>>()
    };
    assert_eq!(latest(&fixture).await, [7.0]);
    // a late reading is delivered, and is not the newest
    fixture
        .sql(r#"insert into sensor_readings (sensor_id, value, "timestamp") values ('a', 3, '2024-05-05 11:00Z')"#)
        .await;
    assert_eq!(fixture.tick(ALL).await, ["a"]);
    assert_eq!(latest(&fixture).await, [7.0]);
}

#[tokio::test]
async fn two_rows_of_one_id_in_one_transaction_get_positions_of_their_own() {
    for budget in [ALL, Budget::rows(1), Budget { rows: 10_000, bytes: 1 }] {
        let db = TestDatabase::migrated().await;
        let mut fixture = Fixture::at(&db).await;
        fixture
            .sql(
                "insert into sensor_readings (sensor_id, value, id, created_at) values
                 ('one', 1, 50, now()), ('two', 1, 50, now() - interval '1 day'), ('three', 1, 51, now())",
            )
            .await;
        fixture.tick(budget).await;
        fixture.check_all_delivered_once().await;
        assert_eq!(fixture.delivered.len(), 3);
    }
}

#[tokio::test]
async fn a_prepared_transaction_is_delivered_when_it_is_committed() {
    let server = testkit::Postgres::start_with(&["max_prepared_transactions=2"]).unwrap();
    let options = store::Options::new(&server.url("postgres"), "test").unwrap();
    store::schema::migrate(&options, Duration::from_secs(30)).await.unwrap();
    let mut leader = Leader::connect(&options, "test").await.unwrap();
    // also while the gate makes writers notify
    leader.enable_notify().await.unwrap();
    let mut sql = PgConnection::connect(&server.url("postgres")).await.unwrap();
    let prepare = "set rowcast.doorbell = off; begin;
                   insert into sensor_readings (sensor_id, value) values ('both', 1); prepare transaction 'p'";
    sqlx::raw_sql(prepare).execute(&mut sql).await.unwrap();
    let mut step = async || {
        let head = leader.load(Budget::rows(0)).await.unwrap().head;
        leader.advance(head.epoch, head.last_tick, ALL).await.unwrap()
    };
    assert!(matches!(step().await, Advance::Nothing { .. }));
    sqlx::raw_sql("commit prepared 'p'").execute(&mut sql).await.unwrap();
    assert!(matches!(step().await, Advance::Made { first } if first.rows == 1));
}

#[tokio::test]
async fn a_generated_column_does_not_prevent_new_partitions() {
    let db = TestDatabase::migrated().await;
    let mut fixture = Fixture::at(&db).await;
    fixture.sql("alter table sensor_readings add column doubled float8 generated always as (value * 2) stored, add column note text check (note <> '')").await;
    fixture
        .sql("insert into sensor_readings (sensor_id, value, created_at) values ('ahead', 4, now() + interval '4 days')")
        .await;
    assert_eq!(fixture.tick(ALL).await, ["ahead"]);
    let done = fixture.leader.maintain(None, Duration::from_secs(3_600), 5).await.unwrap().actions;
    assert!(done.iter().any(|what| what.starts_with("made partition")), "{done:?}");
    assert_eq!(db.psql("select count(*) from rowcast.readings_default"), "0");
    assert_eq!(db.psql("select doubled from sensor_readings"), "8");
    fixture.sql("insert into sensor_readings (sensor_id, value) values ('after', 1)").await;
    assert_eq!(fixture.tick(ALL).await, ["after"]);
}

#[tokio::test]
async fn retention_drops_partitions_of_an_older_cluster() {
    let db = TestDatabase::migrated().await;
    let mut fixture = Fixture::at(&db).await;
    fixture.sql("alter table sensor_readings disable trigger user").await;
    let today = "(now() at time zone 'UTC')::date";
    fixture.sql(&format!("select rowcast.make_partition('readings_of_older', {today} - 9)")).await;
    fixture.sql(&format!("insert into rowcast.partition values ('readings_of_older', {today} - 8)")).await;
    // one is moved there, the other one to the default partition
    fixture
        .sql(
            "insert into sensor_readings (sensor_id, value, created_at, xid)
             select 'old', 1, now() - days * interval '1 day', '99999999999' from unnest(array[8, 9]) days",
        )
        .await;
    fixture.sql("update rowcast.epoch set system_identifier = 5").await;
    assert!(fixture.leader.begin_epoch(false).await.unwrap());
    let day = Duration::from_secs(24 * 3_600);
    let done = fixture.leader.maintain(Some(2 * day), day, 1).await.unwrap().actions;
    for expected in ["dropped partition readings_of_older", "deleted readings 1"] {
        assert!(done.contains(&expected.to_owned()), "no {expected} in {done:?}");
    }
}

/// The statement of a hostile writer; `{s}` is replaced by the sensor, which no other row has.
fn statement() -> impl Strategy<Value = String> {
    let id = prop_oneof![
        Just("default".to_owned()),
        (-3_i64..30).prop_map(|id| id.to_string()),
        Just(i64::MAX.to_string()),
        Just(i64::MIN.to_string()),
    ];
    let xid = prop_oneof![
        Just("default".to_owned()),
        Just("null".to_owned()),
        (0_u64..2_000).prop_map(|xid| format!("'{xid}'")),
        Just("'18446744073709551615'".to_owned()),
    ];
    let made = prop_oneof![
        Just("now()"),
        Just("now() - interval '1 day'"),
        Just("now() - interval '9 days'"),
        Just("now() + interval '300 years'"),
        Just("clock_timestamp()"),
    ];
    let insert = (id, xid, made).prop_map(|(id, xid, made)| {
        format!("insert into sensor_readings (sensor_id, value, id, xid, created_at) values ('{{s}}', 1, {id}, {xid}, {made})")
    });
    prop_oneof![
        8 => insert,
        1 => Just("select setval('sensor_readings_id_seq', 1)".to_owned()),
        1 => Just("alter sequence sensor_readings_id_seq cycle maxvalue 40".to_owned()),
        1 => Just("update sensor_readings set xid = '1'".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_of_hostile_writers_are_delivered_once(
        transactions in prop::collection::vec((prop::collection::vec(statement(), 1..6), any::<bool>()), 1..8),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let db = TestDatabase::migrated().await;
            let mut fixture = Fixture::at(&db).await;
            let mut sensor = 0;
            for (statements, ticks) in transactions {
                fixture.sql("begin").await;
                for statement in statements {
                    sensor += 1;
                    fixture.sql("savepoint before").await;
                    // Postgres itself refuses a duplicate key
                    let sql = statement.replace("{s}", &format!("s{sensor:04}"));
                    if sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut fixture.sql).await.is_err() {
                        fixture.sql("rollback to before").await;
                    }
                }
                fixture.sql("commit").await;
                if ticks {
                    fixture.tick(Budget::rows(3)).await;
                }
            }
            fixture.tick(ALL).await;
            fixture.check_all_delivered_once().await;
            let head = fixture.database.head().await.unwrap();
            let begin = Position::after_tick(head.epoch, head.first_tick);
            for page in [1, 3, 10_000] {
                assert_eq!(fixture.log(begin, page).await, fixture.delivered);
            }
        });
    }
}
