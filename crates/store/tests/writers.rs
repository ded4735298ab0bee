//! Whatever a SQL writer says of its rows, each is told once, at a position of its own.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use store::{Advance, Budget, Database, Leader};
use testkit::TestDatabase;
use wire::{Filter, Position};

/// A leader that has told nothing yet.
struct Teller {
    leader: Leader,
    database: Database,
    sql: PgConnection,
    told: Vec<(i64, i64, String)>,
}

impl Teller {
    async fn at(db: &TestDatabase) -> Self {
        Self {
            leader: Leader::connect(&db.options(), "test").await.unwrap(),
            database: Database::new(&db.options(), 1),
            sql: PgConnection::connect(&db.url).await.unwrap(),
            told: Vec::new(),
        }
    }

    async fn sql(&mut self, sql: &str) {
        let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.sql).await;
        assert!(done.is_ok(), "{sql}: {done:?}");
    }

    /// Takes a tick, and gives the sensors that it tells of.
    async fn tick(&mut self, budget: Budget) -> Vec<String> {
        let head = self.leader.load(Budget::rows(0)).await.unwrap().head;
        if let Advance::Made { .. } = self.leader.advance(head.epoch, head.last_tick, budget).await.unwrap() {
            let begin = Position::after_tick(head.epoch, head.last_tick);
            let new = self.log(begin, 10_000).await;
            self.told.extend(new.iter().cloned());
            return new.into_iter().map(|(_, _, sensor)| sensor).collect();
        }
        Vec::new()
    }

    /// Tick, id and sensor of everything behind that position, by pages.
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

    async fn check_all_told_once(&mut self) {
        let rows: Vec<String> = sqlx::query_scalar("select sensor_id from sensor_readings order by 1")
            .fetch_all(&mut self.sql)
            .await
            .unwrap();
        let mut told: Vec<String> = self.told.iter().map(|(_, _, sensor)| sensor.clone()).collect();
        told.sort();
        assert_eq!(told, rows);
        let places: BTreeSet<_> = self.told.iter().map(|(tick, id, _)| (tick, id)).collect();
        assert_eq!(places.len(), self.told.len(), "a position names one reading");
    }
}

const ALL: Budget = Budget::rows(10_000);

#[tokio::test]
async fn rows_that_name_a_transaction_or_an_impossible_id_are_told() {
    let db = TestDatabase::migrated().await;
    let mut teller = Teller::at(&db).await;
    for (columns, values) in [
        ("xid", "'99999999999'"),
        ("xid", "'3'"),
        ("xid", "null"),
        ("id", "0"),
        ("id", "-7"),
        ("id", "9223372036854775807"),
    ] {
        teller
            .sql(&format!(
                "insert into sensor_readings (sensor_id, value, {columns}) values ('s', 1, {values})"
            ))
            .await;
        assert_eq!(teller.tick(ALL).await, ["s"], "{columns} {values}");
    }
    // rows that are copied back are new rows
    teller.sql("create table copy as select * from sensor_readings; delete from sensor_readings").await;
    teller.sql("insert into sensor_readings select * from copy").await;
    assert_eq!(teller.tick(ALL).await.len(), 6);
    // as replication and a data-only restore write
    teller.sql("set session_replication_role = replica").await;
    teller
        .sql("insert into sensor_readings (sensor_id, value, xid) values ('applied', 1, '99999999999')")
        .await;
    assert_eq!(teller.tick(ALL).await, ["applied"]);
    // an UPDATE moves nothing to another tick
    teller.sql("set session_replication_role = origin; update sensor_readings set xid = '99999999999'").await;
    assert_eq!(teller.tick(ALL).await, [""; 0]);
    let head = teller.database.head().await.unwrap();
    assert_eq!(teller.log(Position::after_tick(head.epoch, head.first_tick), 10).await.len(), 7);
}

#[tokio::test]
async fn a_truncated_table_that_counts_from_one_again_is_told() {
    let db = TestDatabase::migrated().await;
    let mut teller = Teller::at(&db).await;
    teller
        .sql("insert into sensor_readings (sensor_id, value) select 'old', 1 from generate_series(1, 500)")
        .await;
    // a dump restored elsewhere: everything there is history
    teller.sql("update rowcast.epoch set system_identifier = 5").await;
    assert!(teller.leader.begin_epoch(false).await.unwrap());
    assert_eq!(teller.tick(ALL).await, [""; 0]);
    teller.sql("truncate sensor_readings restart identity").await;
    teller.sql("insert into sensor_readings (sensor_id, value) values ('new', 1)").await;
    assert_eq!(teller.tick(ALL).await, ["new"]);
}

#[tokio::test]
async fn a_history_from_an_older_cluster_has_its_newest_readings() {
    let db = TestDatabase::migrated().await;
    let mut teller = Teller::at(&db).await;
    // transactions of a cluster that was much older, as a dump brings them
    teller.sql("alter table sensor_readings disable trigger user").await;
    teller
        .sql(r#"insert into sensor_readings (sensor_id, value, "timestamp", xid) values ('a', 7, '2024-05-05 12:00Z', '99999999999')"#)
        .await;
    teller.sql("alter table sensor_readings enable always trigger sensor_readings_correct_row").await;
    teller.sql("update rowcast.epoch set system_identifier = 5").await;
    assert!(teller.leader.begin_epoch(false).await.unwrap());
    let latest = async |teller: &Teller| {
        let head = teller.database.head().await.unwrap();
        let at = Position::after_tick(head.epoch, head.last_tick);
        let latest = teller.database.latest(&Filter::All, at, None, 10).await.unwrap().newest;
        latest.into_iter().map(|reading| reading.value).collect::<Vec<_>>()
    };
    assert_eq!(latest(&teller).await, [7.0]);
    // a reading that comes late is told, and is not the newest
    teller
        .sql(r#"insert into sensor_readings (sensor_id, value, "timestamp") values ('a', 3, '2024-05-05 11:00Z')"#)
        .await;
    assert_eq!(teller.tick(ALL).await, ["a"]);
    assert_eq!(latest(&teller).await, [7.0]);
}

#[tokio::test]
async fn two_rows_of_one_id_in_one_transaction_get_positions_of_their_own() {
    for budget in [ALL, Budget::rows(1), Budget { rows: 10_000, bytes: 1 }] {
        let db = TestDatabase::migrated().await;
        let mut teller = Teller::at(&db).await;
        teller
            .sql(
                "insert into sensor_readings (sensor_id, value, id, created_at) values
                 ('one', 1, 50, now()), ('two', 1, 50, now() - interval '1 day'), ('three', 1, 51, now())",
            )
            .await;
        teller.tick(budget).await;
        teller.check_all_told_once().await;
        assert_eq!(teller.told.len(), 3);
    }
}

#[tokio::test]
async fn a_prepared_transaction_is_told_when_it_is_committed() {
    let server = testkit::Postgres::start_with(&["max_prepared_transactions=2"]).unwrap();
    let options = store::Options::new(&server.url("postgres"), "test").unwrap();
    store::schema::migrate(&options, Duration::from_secs(30)).await.unwrap();
    let mut leader = Leader::connect(&options, "test").await.unwrap();
    // also while the leader sleeps and is to be rung for
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
    assert!(matches!(step().await, Advance::Made { rows: 1, .. }));
}

#[tokio::test]
async fn a_generated_column_does_not_end_the_making_of_partitions() {
    let db = TestDatabase::migrated().await;
    let mut teller = Teller::at(&db).await;
    teller.sql("alter table sensor_readings add column doubled float8 generated always as (value * 2) stored, add column note text check (note <> '')").await;
    teller
        .sql("insert into sensor_readings (sensor_id, value, created_at) values ('ahead', 4, now() + interval '4 days')")
        .await;
    assert_eq!(teller.tick(ALL).await, ["ahead"]);
    let done = teller.leader.maintain(None, Duration::from_secs(3_600), 5).await.unwrap();
    assert!(done.iter().any(|what| what.starts_with("made partition")), "{done:?}");
    assert_eq!(db.psql("select count(*) from rowcast.readings_default"), "0");
    assert_eq!(db.psql("select doubled from sensor_readings"), "8");
    teller.sql("insert into sensor_readings (sensor_id, value) values ('after', 1)").await;
    assert_eq!(teller.tick(ALL).await, ["after"]);
}

#[tokio::test]
async fn retention_drops_partitions_of_an_older_cluster() {
    let db = TestDatabase::migrated().await;
    let mut teller = Teller::at(&db).await;
    teller.sql("alter table sensor_readings disable trigger user").await;
    let today = "(now() at time zone 'UTC')::date";
    teller.sql(&format!("select rowcast.make_partition('readings_of_older', {today} - 9)")).await;
    teller.sql(&format!("insert into rowcast.partition values ('readings_of_older', {today} - 8)")).await;
    // one goes there, the other one to the default partition
    teller
        .sql(
            "insert into sensor_readings (sensor_id, value, created_at, xid)
             select 'old', 1, now() - days * interval '1 day', '99999999999' from unnest(array[8, 9]) days",
        )
        .await;
    teller.sql("update rowcast.epoch set system_identifier = 5").await;
    assert!(teller.leader.begin_epoch(false).await.unwrap());
    let day = Duration::from_secs(24 * 3_600);
    let done = teller.leader.maintain(Some(2 * day), day, 1).await.unwrap();
    for expected in ["dropped partition readings_of_older", "deleted readings 1"] {
        assert!(done.contains(&expected.to_owned()), "no {expected} in {done:?}");
    }
}

/// What a hostile writer does; `{s}` stands for the sensor, which no other row has.
fn deed() -> impl Strategy<Value = String> {
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
    fn rows_of_hostile_writers_are_told_once(
        transactions in prop::collection::vec((prop::collection::vec(deed(), 1..6), any::<bool>()), 1..8),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let db = TestDatabase::migrated().await;
            let mut teller = Teller::at(&db).await;
            let mut sensor = 0;
            for (deeds, look) in transactions {
                teller.sql("begin").await;
                for deed in deeds {
                    sensor += 1;
                    teller.sql("savepoint before").await;
                    // a key that is taken is refused, by Postgres itself
                    let sql = deed.replace("{s}", &format!("s{sensor:04}"));
                    if sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut teller.sql).await.is_err() {
                        teller.sql("rollback to before").await;
                    }
                }
                teller.sql("commit").await;
                if look {
                    teller.tick(Budget::rows(3)).await;
                }
            }
            teller.tick(ALL).await;
            teller.check_all_told_once().await;
            let head = teller.database.head().await.unwrap();
            let begin = Position::after_tick(head.epoch, head.first_tick);
            for page in [1, 3, 10_000] {
                assert_eq!(teller.log(begin, page).await, teller.told);
            }
        });
    }
}
