//! Ticks and the log they make, against a real Postgres.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use sqlx::Connection;
use store::{Advance, Budget, Database, Leader, ReadError};
use testkit::TestDatabase;
use wire::{Filter, Position, Resume, Tick, frame::GapReason};

async fn leader(db: &TestDatabase) -> Leader {
    Leader::connect(&db.options(), "test").await.unwrap()
}

/// Takes one tick and returns its number and ids; `None` where there is nothing new.
async fn step(leader: &mut Leader) -> Option<(Tick, Vec<i64>)> {
    let head = leader.load(Budget::rows(0)).await.unwrap().head;
    match leader.advance(head.epoch, head.last_tick, Budget::rows(10_000)).await.unwrap() {
        Advance::Made { first, .. } => Some((first.tick, first.readings.iter().map(|r| r.id).collect())),
        Advance::Nothing { .. } => None,
        Advance::Conflict => panic!("no other leader makes ticks here"),
    }
}

/// The whole log by pages of `limit`: tick and id of each reading.
async fn whole_log(database: &Database, limit: i64) -> Vec<(i64, i64)> {
    let head = database.head().await.unwrap();
    let mut at = Position::after_tick(head.epoch, head.first_tick);
    let mut log = Vec::new();
    while at < Position::after_tick(head.epoch, head.last_tick) {
        let page = database.read(at, head.last_tick, limit).await.unwrap();
        assert!(page.covered > at, "a page moves on");
        at = page.covered;
        log.extend(page.ticks.iter().flat_map(|t| t.readings.iter().map(|r| (t.tick.0, r.id))));
    }
    log
}

/// A psql session with a transaction of its own.
struct Writer(sqlx::PgConnection);

impl Writer {
    async fn begin(db: &TestDatabase) -> Self {
        let mut connection = sqlx::PgConnection::connect(&db.url).await.unwrap();
        sqlx::raw_sql("begin").execute(&mut connection).await.unwrap();
        Self(connection)
    }

    async fn insert(&mut self, sensor: &str) -> i64 {
        sqlx::query_scalar("insert into sensor_readings (sensor_id, value) values ($1, 1) returning id")
            .bind(sensor)
            .fetch_one(&mut self.0)
            .await
            .unwrap()
    }

    async fn commit(mut self) {
        sqlx::raw_sql("commit").execute(&mut self.0).await.unwrap();
    }
}

#[tokio::test]
async fn a_transaction_that_commits_late_is_in_the_next_tick_and_only_there() {
    let db = TestDatabase::migrated().await;
    let mut leader = leader(&db).await;
    let mut late = Writer::begin(&db).await;
    let late_id = late.insert("late").await;
    db.psql("insert into sensor_readings (sensor_id, value) select 'early', 1 from generate_series(1, 3)");
    let (first, ids) = step(&mut leader).await.unwrap();
    assert_eq!(ids, [late_id + 1, late_id + 2, late_id + 3], "id {late_id} is not committed yet");
    assert_eq!(step(&mut leader).await, None, "an open transaction makes no empty ticks");
    late.commit().await;
    assert_eq!(step(&mut leader).await, Some((first.next(), vec![late_id])));
    assert_eq!(step(&mut leader).await, None);
}

#[tokio::test]
async fn a_rolled_back_row_is_in_no_tick() {
    let db = TestDatabase::migrated().await;
    let mut leader = leader(&db).await;
    let mut gone = Writer::begin(&db).await;
    gone.insert("gone").await;
    drop(gone);
    db.psql("insert into sensor_readings (sensor_id, value) values ('kept', 1)");
    assert_eq!(step(&mut leader).await.unwrap().1.len(), 1);
}

#[tokio::test]
async fn the_log_reads_back_the_same_whatever_the_page() {
    let db = TestDatabase::migrated().await;
    let mut leader = leader(&db).await;
    let mut expected = Vec::new();
    let mut open = Vec::new();
    for round in 0..40 {
        let mut writer = Writer::begin(&db).await;
        for _ in 0..=round % 4 {
            writer.insert("s").await;
        }
        if round == 20 {
            db.psql(
                "insert into sensor_readings (sensor_id, value) select 'bulk', 1 from generate_series(1, 25)",
            );
        }
        open.push(writer);
        if round % 3 == 0 {
            // the last begun commits first
            open.pop().unwrap().commit().await;
        } else if round % 7 == 0 {
            open.remove(0).commit().await;
        }
        if let Some((tick, ids)) = step(&mut leader).await {
            expected.extend(ids.into_iter().map(|id| (tick.0, id)));
        }
    }
    for writer in open {
        writer.commit().await;
    }
    let (tick, ids) = step(&mut leader).await.unwrap();
    expected.extend(ids.into_iter().map(|id| (tick.0, id)));
    assert_eq!(expected.len().to_string(), db.psql("select count(*) from sensor_readings"));
    let database = Database::new(&db.options(), 2);
    for limit in [1, 2, 7, 20, 10_000] {
        assert_eq!(whole_log(&database, limit).await, expected, "pages of {limit}");
    }
}

#[tokio::test]
async fn a_page_starts_behind_any_reading() {
    let db = TestDatabase::migrated().await;
    let mut leader = leader(&db).await;
    for n in [3, 1, 5] {
        db.psql(&format!(
            "insert into sensor_readings (sensor_id, value) select 's', 1 from generate_series(1, {n})"
        ));
        step(&mut leader).await.unwrap();
    }
    let database = Database::new(&db.options(), 2);
    let head = database.head().await.unwrap();
    let log = whole_log(&database, 100).await;
    for (n, (tick, id)) in log.iter().enumerate() {
        for limit in [1, 4, 100] {
            let mut at = Position::new(head.epoch, Tick(*tick), *id);
            let mut rest = Vec::new();
            while at < Position::after_tick(head.epoch, head.last_tick) {
                let page = database.read(at, head.last_tick, limit).await.unwrap();
                at = page.covered;
                rest.extend(page.ticks.iter().flat_map(|t| t.readings.iter().map(|r| (t.tick.0, r.id))));
            }
            assert_eq!(rest, log[n + 1..], "behind {tick}.{id} by {limit}");
        }
    }
}

#[tokio::test]
async fn two_leaders_at_one_tick_make_it_once() {
    let db = TestDatabase::migrated().await;
    let (mut one, mut two) = (leader(&db).await, leader(&db).await);
    db.psql("insert into sensor_readings (sensor_id, value) values ('s', 1)");
    let head = one.load(Budget::rows(0)).await.unwrap().head;
    assert!(matches!(
        one.advance(head.epoch, head.last_tick, Budget::rows(10)).await.unwrap(),
        Advance::Made { .. }
    ));
    db.psql("insert into sensor_readings (sensor_id, value) values ('s', 2)");
    assert!(matches!(
        two.advance(head.epoch, head.last_tick, Budget::rows(10)).await.unwrap(),
        Advance::Conflict
    ));
    assert_eq!(step(&mut two).await.unwrap().1.len(), 1);
}

#[tokio::test]
async fn a_history_that_lost_its_end_starts_an_epoch_and_keeps_what_it_has() {
    let db = TestDatabase::migrated().await;
    let mut leader = leader(&db).await;
    db.psql("insert into sensor_readings (sensor_id, value) values ('kept', 1)");
    let (kept, _) = step(&mut leader).await.unwrap();
    let database = Database::new(&db.options(), 2);
    let old = database.head().await.unwrap();
    assert!(!leader.begin_epoch(false).await.unwrap(), "nothing has changed");
    // a promotion: the same system on a new timeline; one reading had no tick yet
    db.psql("update rowcast.epoch set timeline = 99; insert into sensor_readings (sensor_id, value) values ('unticked', 2)");
    assert!(leader.begin_epoch(false).await.unwrap());
    let new = database.head().await.unwrap();
    assert!(new.epoch > old.epoch);
    assert_eq!(new.first_tick, kept.next());
    let before = Position::after_tick(old.epoch, Tick(kept.0 - 1));
    assert_eq!(database.log_extent().await.unwrap().resolve(before), Resume::From(before));
    let lost = Position::after_tick(old.epoch, kept.next());
    let Resume::Gap(gap) = database.log_extent().await.unwrap().resolve(lost) else { panic!("a gap") };
    assert_eq!((gap.reason, gap.to), (GapReason::Epoch, Position::after_tick(new.epoch, new.first_tick)));
    // a reader that continues across the restore does not get the new history's tick instead of the lost one of that number
    let read = database.read(lost, Tick(i64::MAX), 10).await;
    assert!(matches!(read, Err(ReadError::Forgotten(_))), "{read:?}");
    assert!(database.read(before, Tick(i64::MAX), 10).await.is_ok(), "what survived can still be read");
    let ahead = Position::after_tick(new.epoch, new.last_tick.next());
    assert_eq!(database.log_extent().await.unwrap().resolve(ahead), Resume::Ahead);
    // a dump restored elsewhere: foreign transaction ids, nothing to replay
    db.psql("update rowcast.epoch set system_identifier = 5, timeline = 1");
    assert!(leader.begin_epoch(false).await.unwrap());
    let Resume::Gap(gap) = database.log_extent().await.unwrap().resolve(before) else { panic!("a gap") };
    assert_eq!(gap.reason, GapReason::Epoch);
    assert_eq!(step(&mut leader).await, None, "what was there is history");
    db.psql("insert into sensor_readings (sensor_id, value) values ('new', 3)");
    assert_eq!(step(&mut leader).await.unwrap().1.len(), 1);
}

#[tokio::test]
async fn an_extent_that_is_read_while_epochs_begin_is_of_one_moment() {
    let db = TestDatabase::migrated().await;
    let mut leader = leader(&db).await;
    db.psql("insert into sensor_readings (sensor_id, value) values ('a', 1)");
    step(&mut leader).await;
    let database = Database::new(&db.options(), 2);
    let begin = sqlx::raw_sql(
        "do $$ begin
           for n in 1..1000 loop
             insert into rowcast.epoch
               select (jsonb_populate_record(e, jsonb_build_object('epoch', e.epoch + 1))).*
                 from rowcast.epoch e order by epoch desc limit 1;
             commit;
           end loop;
         end $$",
    );
    let mut connection = sqlx::PgConnection::connect(&db.url).await.unwrap();
    let read = async {
        loop {
            let extent = database.log_extent().await.unwrap();
            assert_eq!(extent.epochs.last().unwrap().epoch, extent.head.epoch);
        }
    };
    tokio::select! {
        begun = begin.execute(&mut connection) => drop(begun.unwrap()),
        () = read => {}
    }
}

#[tokio::test]
async fn a_day_s_rows_move_from_the_default_partition_into_the_day_s_own() {
    let db = TestDatabase::migrated().await;
    let mut leader = leader(&db).await;
    db.psql("insert into sensor_readings (sensor_id, value, created_at) values ('ahead', 1, now() + interval '4 days')");
    let (tick, ids) = step(&mut leader).await.unwrap();
    leader.maintain(None, Duration::from_secs(3600), 5).await.unwrap();
    assert_eq!(db.psql("select count(*) from rowcast.readings_default"), "0");
    assert_eq!(step(&mut leader).await, None, "a move makes no tick");
    let database = Database::new(&db.options(), 2);
    assert_eq!(whole_log(&database, 10).await, [(tick.0, ids[0])]);
}

#[tokio::test]
async fn the_latest_of_each_sensor_is_read_as_of_a_position() {
    let db = TestDatabase::migrated().await;
    let mut leader = leader(&db).await;
    db.psql("insert into sensor_readings (sensor_id, value) values ('a', 1), ('ab', 1), ('b', 1)");
    let (tick, ids) = step(&mut leader).await.unwrap();
    db.psql("insert into sensor_readings (sensor_id, value) values ('a', 2)");
    step(&mut leader).await.unwrap();
    let database = Database::new(&db.options(), 2);
    let head = database.head().await.unwrap();
    let latest = async |sensors: Option<&[&str]>, at| {
        let filter = Filter::parse(sensors).unwrap();
        let latest = database.latest(&filter, at, None, 100).await.unwrap().newest;
        latest.into_iter().map(|r| (r.sensor_id, r.value)).collect::<Vec<_>>()
    };
    let (a1, a2, ab, b) =
        (("a".to_owned(), 1.0), ("a".to_owned(), 2.0), ("ab".to_owned(), 1.0), ("b".to_owned(), 1.0));
    let end = Position::after_tick(head.epoch, head.last_tick);
    assert_eq!(latest(None, end).await, [a2.clone(), ab.clone(), b.clone()]);
    assert_eq!(
        latest(None, Position::after_tick(head.epoch, tick)).await,
        [a1.clone(), ab.clone(), b.clone()]
    );
    assert_eq!(latest(None, Position::new(head.epoch, tick, ids[0])).await, [a1]);
    assert_eq!(latest(Some(&["a*"]), end).await, [a2.clone(), ab]);
    assert_eq!(latest(Some(&["b", "unknown", "a"]), end).await, [a2, b]);
    let nothing = database.latest(&Filter::Any(Vec::new()), end, None, 100).await.unwrap();
    assert!(nothing.newest.is_empty() && nothing.next.is_none());
}

#[tokio::test]
async fn a_standby_sees_waiting_readings_and_a_running_statement() {
    let db = TestDatabase::migrated().await;
    let (mut leader, mut standby) = (leader(&db).await, self::leader(&db).await);
    let quiet = standby.log_status().await.unwrap();
    assert!(!quiet.waiting && !quiet.working, "{quiet:?}");

    let mut writer = Writer::begin(&db).await;
    writer.insert("a").await;
    assert!(!standby.log_status().await.unwrap().waiting, "what is not committed does not wait");
    writer.commit().await;
    assert!(standby.log_status().await.unwrap().waiting);

    // a tick that takes long: its row is held up by a lock
    let mut lock = Writer::begin(&db).await;
    sqlx::raw_sql("lock rowcast.tick in exclusive mode").execute(&mut lock.0).await.unwrap();
    let watched = async {
        loop {
            if standby.log_status().await.unwrap().working {
                return lock.commit().await;
            }
        }
    };
    let (taken, ()) =
        tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(step(&mut leader), watched) })
            .await
            .expect("the running statement is seen, and ends");
    let after = standby.log_status().await.unwrap();
    assert_eq!((after.head, after.waiting, after.working), (taken.unwrap().0, false, false));
}
