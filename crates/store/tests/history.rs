//! Readings of a span of time against a real Postgres: what is returned, and that it is read by index.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, postgres::types::PgInterval};
use store::{
    Database,
    history::{ALL_TIME, BucketError, BucketKey, Order, PageQuery, ReadingKey, Span, statements},
};
use testkit::TestDatabase;
use time::{OffsetDateTime, macros::datetime};
use wire::Filter;

use Order::{Ascending, Descending};

const ALL_BYTES: usize = usize::MAX;

fn filter(sensors: &str) -> Filter {
    Filter::parse(Some(&sensors.split(',').collect::<Vec<_>>())).unwrap()
}

/// All ids, by pages of `limit`.
async fn ids(database: &Database, sensors: &str, span: Span, order: Order, limit: usize) -> Vec<i64> {
    let filter = filter(sensors);
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let wanted = PageQuery { filter: &filter, span, order, after, limit };
        let page = database.readings(wanted, ALL_BYTES).await.unwrap();
        assert!(page.rows.len() == limit || !page.more, "only the last page is short");
        ids.extend(page.rows.iter().map(|reading| reading.id));
        let Some(last) = page.rows.last().filter(|_| page.more) else { return ids };
        after = Some(ReadingKey { timestamp: last.timestamp, id: last.id });
    }
}

/// 300 readings of seven sensors, several at each instant, not in the order of their ids.
async fn filled() -> (TestDatabase, Database) {
    let db = TestDatabase::migrated().await;
    db.psql(
        r#"insert into sensor_readings (sensor_id, value, "timestamp")
           select 's' || n % 7, n, timestamptz '2026-01-01' + (n * 37 % 50) * interval '1 s' from generate_series(1, 300) n"#,
    );
    let database = Database::new(&db.options().with_custom_plans(), 2);
    (db, database)
}

#[tokio::test]
async fn pages_of_any_size_hold_every_reading_of_the_span_once_and_in_order() {
    let (db, database) = filled().await;
    let span = Span { from: datetime!(2026-01-01 00:00:05 UTC), to: datetime!(2026-01-01 00:00:40 UTC) };
    for (sensors, sql) in [
        ("*", "true"),
        ("s3", "sensor_id = 's3'"),
        ("s1,s2,s1,unknown", "sensor_id in ('s1', 's2')"),
        ("s*", "true"),
        ("s4*,s5", "sensor_id in ('s4', 's5')"),
        ("unknown", "false"),
        ("unknown*", "false"),
    ] {
        for (order, direction) in [(Ascending, "asc"), (Descending, "desc")] {
            let truth = db.psql(&format!(
                r#"select id from sensor_readings where {sql} and "timestamp" >= '2026-01-01 00:00:05+00'
                   and "timestamp" < '2026-01-01 00:00:40+00' order by "timestamp" {direction}, id {direction}"#
            ));
            let truth: Vec<i64> = truth.lines().map(|line| line.parse().unwrap()).collect();
            for limit in [1, 7, 1_000] {
                let found = ids(&database, sensors, span, order, limit).await;
                assert_eq!(found, truth, "{sensors} {order:?} by {limit}");
            }
        }
    }
}

#[tokio::test]
async fn a_filter_without_patterns_has_no_readings_and_no_buckets() {
    let (_db, database) = filled().await;
    let nothing = &Filter::Any(Vec::new());
    for order in [Ascending, Descending] {
        let readings = PageQuery { filter: nothing, span: ALL_TIME, order, after: None, limit: 10 };
        let page = database.readings(readings, ALL_BYTES).await.unwrap();
        assert!(page.rows.is_empty() && !page.more);
        let buckets = PageQuery { filter: nothing, span: ALL_TIME, order, after: None, limit: 10 };
        let page = database.buckets(buckets, Duration::from_secs(60)).await.unwrap();
        assert!(page.rows.is_empty() && !page.more);
    }
}

#[tokio::test]
async fn more_sensors_than_are_read_one_by_one_are_read_by_time() {
    let (db, database) = filled().await;
    db.psql("insert into sensor_readings (sensor_id, value) select 'many-' || n, n from generate_series(1, 300) n");
    assert_eq!(ids(&database, "many-*", ALL_TIME, Descending, 100).await.len(), 300);
    assert_eq!(ids(&database, "many-*,s0", ALL_TIME, Ascending, 100).await.len(), 342);
    let wanted =
        PageQuery { filter: &filter("many-*"), span: ALL_TIME, order: Ascending, after: None, limit: 10 };
    let refused = database.buckets(wanted, Duration::from_secs(60)).await;
    assert!(matches!(refused, Err(BucketError::TooManySensors)), "{refused:?}");
}

#[tokio::test]
async fn a_page_of_large_readings_is_closed_early() {
    let db = TestDatabase::migrated().await;
    db.psql("insert into sensor_readings (sensor_id, value, metadata) select 'a', n, to_jsonb(repeat('x', 1000)) from generate_series(1, 20) n");
    let database = Database::new(&db.options(), 1);
    let all = filter("*");
    let wanted = PageQuery { filter: &all, span: ALL_TIME, order: Ascending, after: None, limit: 100 };
    let page = database.readings(wanted, 5_000).await.unwrap();
    assert_eq!((page.rows.len(), page.more), (5, true));
    // the rest of the abandoned result does not disturb the next query
    assert_eq!(database.readings(wanted, ALL_BYTES).await.unwrap().rows.len(), 20);
}

#[tokio::test]
async fn buckets_are_paged_by_time_and_sensor() {
    let (db, database) = filled().await;
    // intervals of seven seconds that hold a reading, counted without date_bin
    let truth = db.psql(
        r#"select count(distinct (sensor_id, floor(extract(epoch from "timestamp") / 7))) from sensor_readings"#,
    );
    for order in [Ascending, Descending] {
        let filter = filter("s*");
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let wanted = PageQuery { filter: &filter, span: ALL_TIME, order, after, limit: 4 };
            let page = database.buckets(wanted, Duration::from_secs(7)).await.unwrap();
            all.extend(page.rows);
            let Some(last) = all.last().filter(|_| page.more) else { break };
            after = Some(BucketKey { bucket: last.bucket, sensor_id: last.sensor_id.clone() });
        }
        assert_eq!(all.len().to_string(), truth, "{order:?}");
        assert_eq!(all.iter().map(|bucket| bucket.count).sum::<i64>(), 300);
        let keys: Vec<_> = all.iter().map(|bucket| (bucket.bucket, &bucket.sensor_id)).collect();
        let sorted = match order {
            Ascending => keys.is_sorted_by(|a, b| a < b),
            Descending => keys.is_sorted_by(|a, b| a > b),
        };
        assert!(sorted, "{order:?}: {keys:?}");
    }
}

#[tokio::test]
async fn a_mean_does_not_overflow_or_exceed_its_numbers() {
    let db = TestDatabase::migrated().await;
    db.psql(
        r#"insert into sensor_readings (sensor_id, value, "timestamp") values
           ('a', 1.7e308, '2026-01-01'), ('a', 1.5e308, '2026-01-01'), ('b', 1e-300, '2026-01-01'), ('b', 4, '2026-01-01'),
           ('c', 0.1, '2026-01-01'), ('c', 0.2, '2026-01-01'), ('d', 1e200, '2026-01-01'), ('d', -1e200, '2026-01-01')"#,
    );
    let database = Database::new(&db.options(), 1);
    let filter = filter("*");
    let wanted = PageQuery { filter: &filter, span: ALL_TIME, order: Ascending, after: None, limit: 10 };
    let rows = database.buckets(wanted, Duration::from_secs(60)).await.unwrap().rows;
    let means: Vec<f64> = rows.iter().map(|bucket| bucket.avg).collect();
    assert_eq!(means, [1.6e308, 2.0, (0.1 + 0.2) / 2.0, 0.0]);
    assert_eq!(rows[0].bucket, datetime!(2026-01-01 00:00 UTC));
}

#[tokio::test]
async fn the_first_bucket_may_begin_before_the_first_reading_can() {
    let db = TestDatabase::migrated().await;
    db.psql(r#"insert into sensor_readings (sensor_id, value, "timestamp") values ('a', 1, '0001-01-01 00:00:00+00'), ('a', 2, '9998-12-31')"#);
    let database = Database::new(&db.options(), 1);
    let all = filter("a");
    for order in [Ascending, Descending] {
        let wanted = PageQuery { filter: &all, span: ALL_TIME, order, after: None, limit: 10 };
        let rows = database.buckets(wanted, Duration::from_secs(7 * 60 * 60)).await.unwrap().rows;
        assert_eq!(rows.len(), 2, "{order:?}: {rows:?}");
        let first = rows.iter().map(|bucket| bucket.bucket).min().unwrap();
        assert!(first <= ALL_TIME.from && ALL_TIME.from < first + time::Duration::hours(7), "{first}");
    }
}

#[tokio::test]
async fn a_sensor_has_a_newest_and_an_oldest_reading_or_is_unknown() {
    let db = TestDatabase::migrated().await;
    db.psql(r#"insert into sensor_readings (sensor_id, value, "timestamp") select 'a', n, timestamptz '2026-01-01' - n * interval '1 h' from generate_series(1, 9) n"#);
    let database = Database::new(&db.options(), 1);
    let sensor = database.sensor("a").await.unwrap().unwrap();
    assert_eq!((sensor.newest.value, sensor.oldest.value), (1.0, 9.0));
    assert_eq!(database.sensor("b").await.unwrap(), None);
}

/// A table so large that a sequential scan would cost more, and a connection for EXPLAIN.
async fn large() -> (TestDatabase, PgConnection) {
    let db = TestDatabase::migrated().await;
    db.psql(
        r#"insert into sensor_readings (sensor_id, value, "timestamp")
           select 's' || n % 50, n, timestamptz '2026-01-01' + n * interval '1 s' from generate_series(1, 60000) n"#,
    );
    db.psql("analyze sensor_readings");
    let connection = PgConnection::connect(&db.url).await.unwrap();
    (db, connection)
}

/// The plan of one statement: today's partition, which holds every row, is read by this index alone. The empty ones may
/// be scanned.
#[track_caller]
fn check_plan(plan: &[sqlx::postgres::PgRow], index: &str, what: &str) {
    let plan: String = plan.iter().map(|row| row.get::<String, _>(0) + "\n").collect();
    let scan = plan.lines().find(|line| line.contains(" on readings_2")).unwrap();
    let today = scan.split(" on ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    assert!(!plan.contains(&format!("Seq Scan on {today}")), "{what}: {plan}");
    let indexes: Vec<&str> =
        plan.split([' ', '\n']).filter(|word| word.starts_with(&format!("{today}_"))).collect();
    let expected = format!("{today}_{index}");
    assert!(!indexes.is_empty() && indexes.iter().all(|index| *index == expected), "{what}: {plan}");
}

#[tokio::test]
async fn every_statement_of_history_is_read_by_index() {
    let (_db, mut connection) = large().await;
    let (by_sensor, by_time) = ("sensor_id_timestamp_id_idx", "timestamp_id_idx");
    let at: OffsetDateTime = datetime!(2026-01-01 08:00 UTC);
    let early = datetime!(2026-01-01 07:00 UTC);
    for order in [Ascending, Descending] {
        // all of time, where scanning it for one sensor would be slowest
        let (near, far) =
            if order == Ascending { (ALL_TIME.from, ALL_TIME.to) } else { (ALL_TIME.to, ALL_TIME.from) };
        let plan = sqlx::query(AssertSqlSafe(format!("explain {}", statements::of_sensors(order))))
            .bind(vec!["s1", "s2"])
            .bind(near)
            .bind(7_i64)
            .bind(far)
            .bind(101_i64)
            .fetch_all(&mut connection);
        check_plan(&plan.await.unwrap(), by_sensor, "of sensors");
        for prefixes in ["", "s1"] {
            let plan = sqlx::query(AssertSqlSafe(format!("explain {}", statements::of_many(order))))
                .bind(Vec::<String>::new())
                .bind(vec![prefixes])
                .bind(near)
                .bind(7_i64)
                .bind(far)
                .bind(101_i64)
                .fetch_all(&mut connection);
            check_plan(&plan.await.unwrap(), by_time, "of many");
        }
        let plan = sqlx::query(AssertSqlSafe(format!("explain {}", statements::buckets(order))))
            .bind(vec!["s1", "s2"])
            .bind(PgInterval { months: 0, days: 0, microseconds: 60_000_000 })
            .bind(early)
            .bind(at)
            .bind(at)
            .bind("")
            .bind(101_i64)
            .fetch_all(&mut connection);
        check_plan(&plan.await.unwrap(), by_sensor, "buckets");
    }
    let walk = sqlx::query(AssertSqlSafe(format!("explain {}", statements::WALK)))
        .bind(vec!["a"])
        .bind(vec!["s"])
        .bind(257_i64)
        .fetch_all(&mut connection);
    check_plan(&walk.await.unwrap(), by_sensor, "walk");
    let sensor = sqlx::query(AssertSqlSafe(format!("explain {}", statements::SENSOR)))
        .bind("s1")
        .fetch_all(&mut connection);
    check_plan(&sensor.await.unwrap(), by_sensor, "sensor");
}

#[tokio::test]
async fn the_latest_reading_of_a_rare_sensor_is_found_by_the_sensor_index() {
    let db = TestDatabase::migrated().await;
    db.psql(
        r#"insert into sensor_readings (sensor_id, value, "timestamp")
           select case when n < 5000 then 'quiet' else 'loud' || n % 11 end, n, timestamptz '2026-01-01' + n * interval '1 s'
             from generate_series(1, 60000) n"#,
    );
    db.psql("analyze sensor_readings");
    let mut connection = PgConnection::connect(&db.url).await.unwrap();
    let plan = sqlx::query(AssertSqlSafe(format!("explain {}", store::latest::LATEST)))
        .bind(Vec::<String>::new())
        .bind(vec![""])
        .bind(db.psql("select snap from rowcast.tick order by no desc limit 1"))
        .bind(None::<String>)
        .bind(i64::MAX)
        .bind(1_000_i64)
        .bind("")
        .fetch_all(&mut connection);
    check_plan(&plan.await.unwrap(), "sensor_id_timestamp_id_idx", "latest");
}
