//! Every wait for a database that stopped responding ends; idle connections that were closed are replaced unnoticed.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{net::SocketAddr, time::Duration};

use store::{
    Database, Inserter, Leader, NewReading, Options,
    history::{ALL_TIME, Order, PageQuery},
    readings::Inserted,
};
use testkit::{Proxy, TestDatabase, proxy::LinkState, wait_for};
use tokio::time::{Instant, timeout};
use wire::{Filter, Position, Tick};

/// The database behind a proxy.
async fn behind_a_proxy(db: &TestDatabase) -> (Proxy, Options) {
    let (before, after) = db.url.split_once("127.0.0.1:").unwrap();
    let (port, name) = after.split_once('/').unwrap();
    let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()))).await.unwrap();
    let options = Options::new(&format!("{before}{}/{name}", proxy.addr()), "test").unwrap();
    (proxy, options.statement_timeout(Duration::from_secs(1)))
}

fn reading() -> NewReading {
    let (sensor_id, metadata) = ("s".to_owned(), "{}".to_owned());
    NewReading { sensor_id, value: 1.0, timestamp: None, metadata, traceparent: None, key: None }
}

#[tokio::test]
async fn every_wait_for_a_silent_database_ends_and_it_is_found_again() {
    let db = TestDatabase::migrated().await;
    let (proxy, options) = behind_a_proxy(&db).await;
    let database = Database::new(&options, 2);
    let head = database.head().await.unwrap();
    let end = Position::after_tick(head.epoch, head.last_tick);
    for round in 0..3 {
        proxy.set(LinkState::Frozen);
        // more of them at once than there are connections
        let (filter, span, order) = (&Filter::All, ALL_TIME, Order::Descending);
        let newest = PageQuery { filter, span, order, after: None, limit: 10 };
        let each = Duration::from_secs(8);
        let (head, log, latest, newest, extent, schema) = tokio::join!(
            timeout(each, database.head()),
            timeout(each, database.read(end, Tick(i64::MAX), 10)),
            timeout(each, database.latest(&Filter::All, end, None, 10)),
            timeout(each, database.readings(newest, 1 << 20)),
            timeout(each, database.log_extent()),
            timeout(each, database.check_schema()),
        );
        assert!(head.unwrap().is_err() && log.unwrap().is_err() && latest.unwrap().is_err(), "{round}");
        assert!(newest.unwrap().is_err() && extent.unwrap().is_err() && schema.unwrap().is_err(), "{round}");
        assert!(timeout(each, Leader::connect(&options, "test")).await.unwrap().is_err(), "{round}");
        proxy.set(LinkState::Open);
        database.head().await.unwrap();
    }
}

#[tokio::test]
async fn a_cancelled_read_releases_its_permit() {
    let db = TestDatabase::migrated().await;
    let (proxy, options) = behind_a_proxy(&db).await;
    let database = Database::new(&options, 1);
    database.head().await.unwrap();
    proxy.set(LinkState::Frozen);
    for _ in 0..5 {
        assert!(timeout(Duration::from_millis(100), database.head()).await.is_err());
    }
    proxy.set(LinkState::Open);
    database.head().await.unwrap();
}

#[tokio::test]
async fn connections_that_the_server_ended_while_they_were_idle_are_not_used() {
    let db = TestDatabase::migrated().await;
    let database = Database::new(&db.options(), 4);
    let mut inserter = Inserter::connect(&db.options()).await.unwrap();
    for _ in 0..3 {
        let (a, b, c) = tokio::join!(database.head(), database.head(), database.head());
        assert!(a.is_ok() && b.is_ok() && c.is_ok());
        // as `idle_session_timeout`, a pooler or a failover does it
        db.psql(
            "select pg_terminate_backend(pid) from pg_stat_activity
              where datname = current_database() and pid <> pg_backend_pid()",
        );
        // for longer than a connection is used without a probe
        tokio::time::pause();
        tokio::time::advance(Duration::from_millis(600)).await;
        tokio::time::resume();
        assert!(!inserter.is_alive().await);
        database.head().await.unwrap();
        inserter = Inserter::connect(&db.options()).await.unwrap();
        assert!(inserter.is_alive().await);
    }
}

#[tokio::test]
async fn commits_wait_for_the_disk_whatever_the_default_is() {
    let db = TestDatabase::migrated().await;
    db.psql(&format!("alter database {} set synchronous_commit = off", db.name));
    // a deferred trigger sees the setting with which the commit is made
    db.psql(
        "create table seen (what text, how text);
         create function see() returns trigger language plpgsql as $$ begin
           insert into seen values (tg_table_name, current_setting('synchronous_commit')); return null; end $$;
         create constraint trigger see after insert on rowcast.tick deferrable initially deferred for each row execute function see();
         create constraint trigger see after insert on sensor_readings deferrable initially deferred for each row execute function see();",
    );
    let mut inserter = Inserter::connect(&db.options()).await.unwrap();
    let until = Instant::now() + Duration::from_secs(5);
    assert!(matches!(inserter.insert(&[&reading()], until).await.unwrap(), Inserted::Stored(_)));
    let mut leader = Leader::connect(&db.options(), "test").await.unwrap();
    let head = leader.load(store::Budget::rows(0)).await.unwrap().head;
    leader.advance(head.epoch, head.last_tick, store::Budget::rows(10)).await.unwrap();
    let seen = db.psql("select string_agg(distinct how, ' ') || ' ' || count(*) from seen");
    assert_eq!(seen, "on 2");
}

#[tokio::test]
async fn a_statement_that_a_leader_abandons_has_no_effect_later() {
    let db = TestDatabase::migrated().await;
    let options = db.options().statement_timeout(Duration::from_millis(300));
    let mut leader = Leader::connect(&options, "test").await.unwrap();
    let head = leader.load(store::Budget::rows(0)).await.unwrap().head;
    db.psql("insert into sensor_readings (sensor_id, value) values ('a', 1)");
    let mut other = db.options().connect().await.unwrap();
    sqlx::raw_sql("begin; lock table rowcast.tick in access exclusive mode")
        .execute(&mut other)
        .await
        .unwrap();
    let advance = leader.advance(head.epoch, head.last_tick, store::Budget::rows(10));
    assert!(!matches!(timeout(Duration::from_secs(5), advance).await, Ok(Ok(_))));
    sqlx::raw_sql("commit").execute(&mut other).await.unwrap();
    wait_for("the end of the statement", Duration::from_secs(10), async || {
        let query =
            "select count(*) from pg_stat_activity where state = 'active' and query like '%rowcast.take_tick%'
                        and pid <> pg_backend_pid() and datname = current_database()";
        let active = db.psql(query);
        if active == "0" { Ok(()) } else { Err(active) }
    })
    .await;
    assert_eq!(db.psql("select max(no) from rowcast.tick"), head.last_tick.0.to_string());
}
