//! Readings are deleted once their retention is over and no position needs them. On a server of its own: a transaction
//! that writes in any of a server's databases delays that.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use store::{Advance, Budget, Database, Leader, Options, ReadError};
use testkit::Postgres;
use wire::{Position, Resume, Tick, frame::GapReason};

const DAY: Duration = Duration::from_secs(24 * 3_600);

#[tokio::test]
async fn retention_deletes_what_no_tick_needs_and_moves_the_horizon() {
    let server = Postgres::start_with(&["autovacuum=off"]).unwrap();
    server.psql("postgres", "create database neighbour").unwrap();
    let options = Options::new(&server.url("postgres"), "test").unwrap();
    store::schema::migrate(&options, Duration::from_secs(30)).await.unwrap();
    let mut leader = Leader::connect(&options, "test").await.unwrap();
    let psql = |sql: &str| server.psql("postgres", sql).unwrap();

    let mut neighbour = PgConnection::connect(&server.url("neighbour")).await.unwrap();
    run(&mut neighbour, "begin; create table anything ()").await;
    psql(
        "insert into sensor_readings (sensor_id, value, created_at) values ('old', 1, now() - interval '3 days')",
    );
    let old = tick(&mut leader).await;
    psql("insert into sensor_readings (sensor_id, value) values ('new', 1)");
    tick(&mut leader).await;
    let done = leader.maintain(Some(2 * DAY), DAY, 4).await.unwrap().actions;
    assert_eq!(done.iter().filter(|what| what.starts_with("made partition")).count(), done.len(), "{done:?}");
    assert_eq!(
        psql("select count(*) from sensor_readings"),
        "2",
        "a tick may still have to hold the old one"
    );

    run(&mut neighbour, "commit").await;
    psql("insert into sensor_readings (sensor_id, value) values ('new', 2)");
    let first_past = tick(&mut leader).await;
    psql("insert into sensor_readings (sensor_id, value) values ('new', 3)");
    tick(&mut leader).await;
    assert_eq!(leader.maintain(Some(2 * DAY), DAY, 4).await.unwrap().actions, ["deleted readings 1"]);
    assert_eq!(leader.maintain(Some(2 * DAY), DAY, 4).await.unwrap().actions, [""; 0]);
    assert_eq!(psql("select string_agg(sensor_id, ' ') from sensor_readings"), "new new new");

    let database = Database::new(&options, 2);
    let head = database.head().await.unwrap();
    let before = Position::after_tick(head.epoch, Tick(old.0 - 1));
    let Resume::Gap(gap) = database.log_extent().await.unwrap().resolve(before) else { panic!("a gap") };
    assert_eq!(gap.reason, GapReason::Retention);
    assert!(
        gap.to <= Position::after_tick(head.epoch, first_past),
        "the gap ends no later than the first tick kept whole"
    );
    assert!(matches!(database.read(before, head.last_tick, 10).await, Err(ReadError::Forgotten(_))));
}

/// Takes one tick, of one reading.
async fn tick(leader: &mut Leader) -> Tick {
    let head = leader.load(Budget::rows(0)).await.unwrap().head;
    match leader.advance(head.epoch, head.last_tick, Budget::rows(10)).await.unwrap() {
        Advance::Made { first } if first.rows == 1 => first.tick,
        other => panic!("a tick of one reading, not {other:?}"),
    }
}

async fn run(connection: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(connection).await.unwrap();
}
