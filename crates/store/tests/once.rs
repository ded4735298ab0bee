//! What has a key is stored once, whoever sends it again, when, and beside whom.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use store::{
    Inserter, Leader, NewReading,
    readings::once::{Answer, Claim, Kept, Once, RequestId, Scoped},
};
use testkit::{TestDatabase, wait_for};
use time::macros::datetime;
use tokio::time::Instant;

fn reading(sensor_id: &str, value: f64, key: Option<&str>) -> NewReading {
    NewReading {
        sensor_id: sensor_id.to_owned(),
        value,
        timestamp: None,
        metadata: format!(r#"{{"sent": {value}}}"#),
        traceparent: None,
        key: key.map(str::to_owned),
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

fn kept(body: &str) -> Kept {
    let answer = Answer {
        status: 201,
        content_type: Some("application/json".to_owned()),
        body: body.as_bytes().to_vec(),
    };
    Kept { request: [7; 32], answer }
}

/// Stores these in one transaction, each with its scope.
async fn store(inserter: &mut Inserter, readings: &[(&str, &NewReading)]) -> Vec<Once> {
    let scoped: Vec<_> = readings.iter().map(|(scope, reading)| Scoped { scope, reading }).collect();
    let mut keyed = inserter.begin_keyed(soon()).await.unwrap();
    let stored = keyed.insert(&scoped).await.unwrap().unwrap();
    assert!(keyed.commit().await.unwrap());
    stored
}

/// How many rows there are of each sensor.
fn rows(db: &TestDatabase) -> String {
    db.psql("select string_agg(sensor_id || n, ' ' order by sensor_id) from (select sensor_id, count(*) n from sensor_readings group by 1) s")
}

#[tokio::test]
async fn a_reading_s_key_is_unique_in_its_scope_for_its_sensor_and_time() {
    let db = TestDatabase::migrated().await;
    let mut inserter = Inserter::connect(&db.options()).await.unwrap();
    let first = reading("a", 1.0, Some("k"));
    let at = |time| NewReading { timestamp: Some(time), ..first.clone() };
    let (day, next) = (at(datetime!(2026-11-23 00:00 UTC)), at(datetime!(2026-11-24 00:00 UTC)));
    let others = [
        ("x", first.clone()),
        ("y", first.clone()),
        ("x", reading("b", 1.0, Some("k"))),
        ("x", reading("a", 1.0, Some("l"))),
        ("x", day.clone()),
        ("x", next),
        ("x", reading("a", 1.0, None)),
    ];
    let given: Vec<_> = others.iter().map(|(scope, reading)| (*scope, reading)).collect();
    let stored = store(&mut inserter, &given).await;
    assert!(stored.iter().all(|once| once.is_new));
    assert!(stored.is_sorted_by_key(|once| once.reading.id), "ids follow the order given");
    assert_eq!(db.psql("select count(*) from sensor_readings where reading_key = 'k'"), "5");

    let other_value = NewReading { value: 9.0, metadata: "{}".to_owned(), ..day.clone() };
    let again =
        store(&mut inserter, &[("x", &first), ("x", &reading("c", 1.0, None)), ("x", &other_value)]).await;
    assert_eq!(again.iter().map(|once| once.is_new).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!((&again[0].reading, &again[2].reading), (&stored[0].reading, &stored[4].reading));
    assert_eq!(rows(&db), "a6 b1 c1");
}

#[tokio::test]
async fn the_second_of_a_key_in_one_batch_is_the_first() {
    let db = TestDatabase::migrated().await;
    let mut inserter = Inserter::connect(&db.options()).await.unwrap();
    let (one, two, plain) =
        (reading("a", 1.0, Some("k")), reading("a", 2.0, Some("k")), reading("b", 3.0, None));
    let stored = store(&mut inserter, &[("x", &plain), ("x", &one), ("x", &plain), ("x", &two)]).await;
    assert_eq!(stored.iter().map(|once| once.is_new).collect::<Vec<_>>(), [true, true, true, false]);
    assert_eq!(stored[1].reading, stored[3].reading);
    assert_eq!(stored[1].reading.value, 1.0);
    assert_eq!(rows(&db), "a1 b2");
}

#[tokio::test]
async fn batches_with_the_same_keys_in_another_order_wait_for_each_other_and_none_fails() {
    let db = TestDatabase::migrated().await;
    let writer = async |turn: usize| {
        let mut inserter = Inserter::connect(&db.options()).await.unwrap();
        let mut new = 0;
        for round in 0..20 {
            let mut readings: Vec<_> =
                (0..50).map(|n| reading("a", f64::from(n), Some(&format!("{round}-{n}")))).collect();
            if turn % 2 == 1 {
                readings.reverse();
            }
            let given: Vec<_> = readings.iter().map(|reading| ("x", reading)).collect();
            let stored = store(&mut inserter, &given).await;
            for (given, once) in readings.iter().zip(&stored) {
                assert_eq!(given.value, once.reading.value);
            }
            new += stored.iter().filter(|once| once.is_new).count();
        }
        new
    };
    let (a, b, c, d) = tokio::join!(writer(0), writer(1), writer(2), writer(3));
    assert_eq!((a + b + c + d, rows(&db).as_str()), (1_000, "a1000"));
}

#[tokio::test]
async fn a_key_that_somebody_holds_for_long_ends_the_batch_and_not_the_connection() {
    let db = TestDatabase::migrated().await;
    let (mut slow, mut other) =
        (Inserter::connect(&db.options()).await.unwrap(), Inserter::connect(&db.options()).await.unwrap());
    let reading = reading("a", 1.0, Some("k"));
    let given = [Scoped { scope: "x", reading: &reading }];
    let mut held = slow.begin_keyed(soon()).await.unwrap();
    held.insert(&given).await.unwrap().unwrap();
    let error = other.begin_keyed(soon()).await.unwrap().insert(&given).await.unwrap_err();
    assert!(error.is_lock_timeout(), "{error:?}");
    held.roll_back().await.unwrap();
    assert!(store(&mut other, &[("x", &reading)]).await[0].is_new);
}

#[tokio::test]
async fn a_request_is_busy_while_it_runs_and_known_once_it_is_committed() {
    let db = TestDatabase::migrated().await;
    let (mut first, mut second) =
        (Inserter::connect(&db.options()).await.unwrap(), Inserter::connect(&db.options()).await.unwrap());
    let (id, free) = (RequestId::new("x", "k"), RequestId::new("y", "k"));
    let mut running = first.begin_keyed(soon()).await.unwrap();
    assert_eq!(running.claim(&[id]).await.unwrap(), [Claim::Free]);
    let mut other = second.begin_keyed(soon()).await.unwrap();
    assert_eq!(other.claim(&[free, id]).await.unwrap(), [Claim::Free, Claim::Busy]);
    running.keep(&[(id, kept("one"))]).await.unwrap();
    assert!(running.commit().await.unwrap());
    // in the transaction that is open already
    assert_eq!(other.claim(&[id]).await.unwrap(), [Claim::Known(kept("one"))]);
    other.roll_back().await.unwrap();
    let mut later = first.begin_keyed(soon()).await.unwrap();
    assert_eq!(later.claim(&[free, id]).await.unwrap(), [Claim::Free, Claim::Known(kept("one"))]);
}

#[tokio::test]
async fn a_lost_connection_leaves_neither_the_readings_nor_the_claim() {
    let db = TestDatabase::migrated().await;
    let id = RequestId::new("x", "k");
    let plain = reading("a", 1.0, Some("k"));
    let mut lost = Inserter::connect(&db.options()).await.unwrap();
    let mut keyed = lost.begin_keyed(soon()).await.unwrap();
    keyed.claim(&[id]).await.unwrap();
    keyed.insert(&[Scoped { scope: "x", reading: &plain }]).await.unwrap().unwrap();
    keyed.keep(&[(id, kept("one"))]).await.unwrap();
    drop(lost);
    let mut other = Inserter::connect(&db.options()).await.unwrap();
    let mut keyed = other.begin_keyed(soon()).await.unwrap();
    let keyed = tokio::sync::Mutex::new(&mut keyed);
    wait_for("the server to notice", Duration::from_secs(10), || async {
        match keyed.lock().await.claim(&[id]).await.unwrap()[..] {
            [Claim::Free] => Ok(()),
            ref other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(rows(&db), "");
}

#[tokio::test]
async fn nothing_is_kept_past_the_deadline() {
    let db = TestDatabase::migrated().await;
    let mut inserter = Inserter::connect(&db.options()).await.unwrap();
    let (keyed_reading, plain) = (reading("a", 1.0, Some("k")), reading("a", 1.0, None));
    for reading in [&keyed_reading, &plain] {
        let mut keyed = inserter.begin_keyed(Instant::now()).await.unwrap();
        assert!(keyed.insert(&[Scoped { scope: "x", reading }]).await.unwrap().is_none());
        keyed.roll_back().await.unwrap();
    }
    let mut keyed = inserter.begin_keyed(Instant::now()).await.unwrap();
    keyed.keep(&[(RequestId::new("x", "k"), kept("one"))]).await.unwrap();
    assert!(!keyed.commit().await.unwrap());
    assert_eq!(db.psql("select count(*) from rowcast.request_key"), "0");
}

#[tokio::test]
async fn the_readings_that_the_table_refuses_are_found_and_nothing_is_stored() {
    let db = TestDatabase::migrated().await;
    let mut inserter = Inserter::connect(&db.options()).await.unwrap();
    let mut readings: Vec<_> = (0..20).map(|n| reading("a", f64::from(n), None)).collect();
    for wrong in [0, 7, 19] {
        readings[wrong].sensor_id = String::new();
    }
    let given: Vec<_> = readings.iter().collect();
    let refused = inserter.refused(&given, soon()).await.unwrap();
    assert_eq!(refused.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [0, 7, 19]);
    assert!(refused.iter().all(|(_, error)| error.constraint() == Some("sensor_id_is_1_to_100_characters")));
    assert_eq!(inserter.refused(&given[1..7], soon()).await.unwrap().len(), 0);
    assert_eq!(rows(&db), "");
    assert!(store(&mut inserter, &[("x", &readings[1])]).await[0].is_new);
}

#[tokio::test]
async fn keys_outlive_their_readings_and_are_forgotten_in_their_time() {
    let db = TestDatabase::migrated().await;
    let mut inserter = Inserter::connect(&db.options()).await.unwrap();
    let (old, new) = (reading("a", 1.0, Some("old")), reading("a", 2.0, Some("new")));
    let stored = store(&mut inserter, &[("x", &old), ("x", &new)]).await;
    let ids = ["old", "new"].map(|key| RequestId::new("x", key));
    let mut keyed = inserter.begin_keyed(soon()).await.unwrap();
    keyed.keep(&ids.map(|id| (id, kept("one")))).await.unwrap();
    assert!(keyed.commit().await.unwrap());
    // as a retention that is shorter than the keys' leaves it
    db.psql("delete from sensor_readings");
    let sent_again = NewReading { value: 5.0, ..old.clone() };
    let again = store(&mut inserter, &[("x", &sent_again)]).await;
    assert_eq!((again[0].is_new, &again[0].reading), (false, &stored[0].reading));

    let mut leader = Leader::connect(&db.options(), "test").await.unwrap();
    let mut maintain = async || leader.maintain(None, Duration::from_secs(86_400), 1).await.unwrap();
    maintain().await;
    assert_eq!(db.psql("select count(*) from rowcast.reading_key"), "2");
    let mut sql = PgConnection::connect(&db.url).await.unwrap();
    // more than one step of each
    let backdate = "insert into rowcast.request_key (id, request, status, body, created_at)
                        select sha256(n::text::bytea), sha256('x'), 204, '', now() - interval '25 hours' from generate_series(1, 10001) n;
                    update rowcast.request_key set created_at = now() - interval '23 hours' where status = 201;
                    update rowcast.reading_key set created_at = now() - interval '6 days 23 hours';
                    update rowcast.reading_key set created_at = now() - interval '7 days 1 minute' where reading_id = (select min(reading_id) from rowcast.reading_key)";
    sqlx::raw_sql(backdate).execute(&mut sql).await.unwrap();
    maintain().await;
    let left = "select (select count(*) from rowcast.request_key), (select min(reading_id) from rowcast.reading_key), (select count(*) from rowcast.reading_key)";
    assert_eq!(db.psql(left), format!("2|{}|1", stored[1].reading.id));
    assert!(store(&mut inserter, &[("x", &old)]).await[0].is_new);
}
