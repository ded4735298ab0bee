//! Several hosts of which one is the primary: it is found, and found again after a promotion.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{net::SocketAddr, time::Duration};

use store::{
    Database, DatabaseConfig, Error, Inserter, NewReading, Notifications, Options,
    history::{ALL_TIME, Order, PageQuery},
    readings::Inserted,
    schema,
};
use testkit::{Postgres, Proxy, postgres::free_port, proxy::LinkState, wait_for};
use tokio::time::{Instant, timeout};
use wire::Filter;

/// A primary with the schema, and its standby.
async fn pair() -> (Postgres, Postgres) {
    let primary = Postgres::start().unwrap();
    let options = Options::new(&primary.url("postgres"), "test").unwrap();
    schema::migrate(&options, Duration::from_secs(30)).await.unwrap();
    let standby = primary.start_standby().unwrap();
    (primary, standby)
}

/// On these ports, in this order.
fn hosts(ports: &[u16], attributes: &str) -> Options {
    let hosts: Vec<_> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let url = format!("postgres://postgres@{}/postgres{attributes}", hosts.join(","));
    DatabaseConfig::at(&url).options("test").unwrap()
}

async fn insert(options: &Options) -> Result<(), Error> {
    let (sensor_id, metadata) = ("s".to_owned(), "{}".to_owned());
    let reading =
        NewReading { sensor_id, value: 1.0, timestamp: None, metadata, traceparent: None, key: None };
    let mut inserter = Inserter::connect(options).await?;
    let stored = inserter.insert(&[&reading], Instant::now() + Duration::from_secs(5)).await?;
    assert!(matches!(stored, Inserted::Stored(_)));
    Ok(())
}

/// How many there are.
async fn readings(options: &Options) -> usize {
    let (span, order) = (ALL_TIME, Order::Descending);
    let all = PageQuery { filter: &Filter::All, span, order, after: None, limit: 10 };
    Database::new(options, 1).readings(all, 1 << 20).await.unwrap().rows.len()
}

async fn port(options: &Options) -> i32 {
    let mut connection = options.connect().await.unwrap();
    let port = sqlx::query_scalar("select current_setting('port')::int").fetch_one(&mut connection);
    port.await.unwrap()
}

#[tokio::test]
async fn of_several_hosts_the_primary_is_used_unless_another_is_requested() {
    let (primary, standby) = pair().await;
    let (p, s, dead) = (primary.port(), standby.port(), free_port().unwrap());
    let any = "?target_session_attrs=any";
    for (ports, attributes, want) in [
        (&[p, s][..], "", p),
        (&[s, p], "", p),
        (&[dead, s, p], "", p),
        (&[dead, s, p], "?target_session_attrs=primary", p),
        (&[dead, s, p], any, s),
        (&[p, s], any, p),
        (&[s], "", s),
    ] {
        let options = hosts(ports, attributes);
        // the second time it begins with the host that was found
        for _ in 0..2 {
            assert_eq!(port(&options).await, i32::from(want), "{ports:?} {attributes}");
        }
    }
    primary.psql("postgres", "alter database postgres set default_transaction_read_only = on").unwrap();
    assert_eq!(port(&hosts(&[s, p], "?target_session_attrs=primary")).await, i32::from(p));
    let refused = hosts(&[dead, s, p], "").connect().await.unwrap_err();
    assert_eq!(refused.to_string(), "no usable database host");
    let why = std::error::Error::source(&refused).unwrap().to_string();
    for refusal in [format!("127.0.0.1:{dead}: "), format!("127.0.0.1:{p}: not writable")] {
        assert!(why.contains(&refusal), "{why}");
    }
    assert!(hosts(&[s], "?target_session_attrs=read-write").connect().await.is_err());
}

#[tokio::test]
async fn a_silent_host_leaves_time_for_the_others() {
    let (primary, standby) = pair().await;
    let silent = Proxy::start(SocketAddr::from(([127, 0, 0, 1], standby.port()))).await.unwrap();
    silent.set(LinkState::Frozen);
    let options = hosts(&[silent.addr().port(), primary.port()], "");
    let began = Instant::now();
    insert(&options).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    // the next connection begins with the host that answered
    let began = Instant::now();
    Database::new(&options, 1).head().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_promoted_standby_is_written_to_read_and_listened_to() {
    let (mut primary, standby) = pair().await;
    let options = hosts(&[primary.port(), standby.port()], "");
    insert(&options).await.unwrap();
    assert_eq!(readings(&options).await, 1);
    let mut notifications = Notifications::listen(&options).await.unwrap();
    wait_for("the reading at the standby", Duration::from_secs(10), || async {
        match standby.psql("postgres", "select count(*) from sensor_readings").unwrap().as_str() {
            "1" => Ok(()),
            count => Err(count.to_owned()),
        }
    })
    .await;
    primary.process().kill().unwrap();
    timeout(Duration::from_secs(10), notifications.recv()).await.unwrap().unwrap_err();
    assert!(insert(&options).await.is_err() && Notifications::listen(&options).await.is_err());
    standby.promote().unwrap();
    insert(&options).await.unwrap();
    let mut notifications = Notifications::listen(&options).await.unwrap();
    standby.psql("postgres", "notify sensor_updates").unwrap();
    timeout(Duration::from_secs(10), notifications.recv()).await.unwrap().unwrap();
    assert_eq!(readings(&options).await, 2);
    // the old primary is not used as one when it returns as a standby of the new
    primary = standby.start_standby().unwrap();
    assert_eq!(port(&hosts(&[primary.port(), standby.port()], "")).await, i32::from(standby.port()));
}
