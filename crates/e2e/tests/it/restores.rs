//! Other ways into a database than an INSERT, with the ledger: a dump that is restored, and logical replication.

use std::{collections::BTreeSet, time::Duration};

use e2e::{
    Client, Plan, Stack, Trial, Writers, client, http, ledger,
    stack::{DATABASE, all_at, borrowed, migrate},
};
use nix::sys::signal::Signal;
use testkit::{Postgres, wait_for};

const WITHIN: Duration = Duration::from_secs(60);

fn committed(postgres: &Postgres) -> BTreeSet<i64> {
    let ids = postgres.psql(DATABASE, "select id from sensor_readings").unwrap();
    ids.lines().filter_map(|id| id.parse().ok()).collect()
}

async fn until_all_have(clients: &[Client], count: usize) {
    wait_for("every reading at every client", WITHIN, async || {
        let counts: Vec<_> = clients.iter().map(Client::count).collect();
        if counts.iter().all(|had| *had >= count) { Ok(()) } else { Err((count, counts)) }
    })
    .await;
}

async fn until_written(writers: &Writers, count: usize) {
    wait_for("readings that are stored", WITHIN, async || {
        let written = writers.acknowledged();
        if written >= count { Ok(()) } else { Err(written) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_that_is_restored_into_another_server_continues_exactly() {
    let (old, new) = (Postgres::start().unwrap(), Postgres::start_as_another().unwrap());
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", old.port(), new.port());
    let url = format!("postgres://postgres@{hosts}/{DATABASE}");
    let env = all_at(&url);
    let stack =
        Stack::start_on(old, None, Plan { gateways: 2, listeners: 1 }, &borrowed(&env)).await.unwrap();
    let mut clients = Vec::new();
    for gateway in stack.gateways.iter().chain(&stack.gateways) {
        clients.push(Client::start(gateway.public()).await);
    }
    let ingest = stack.ingest.public();
    let writers = Writers::start(3, ingest, &stack.postgres.url(DATABASE));
    until_written(&writers, 100).await;
    let mut acknowledged = writers.finish().await;
    let before = committed(&stack.postgres);
    until_all_have(&clients, before.len()).await;

    stack.postgres.dump_into(DATABASE, &new).unwrap();
    assert_eq!(committed(&new), before);
    stack.postgres.process().end(Signal::SIGQUIT, Duration::from_secs(10)).unwrap();
    // what is written before the new history has an epoch is before it: clients get a gap
    wait_for("an epoch of the restored database", WITHIN, async || {
        let own = "select count(*) from rowcast.epoch, pg_control_system() system
                    where epoch.system_identifier = system.system_identifier";
        let epochs = new.psql(DATABASE, own).unwrap();
        if epochs == "1" { Ok(()) } else { Err(epochs) }
    })
    .await;
    let writers = Writers::devices(10..13, ingest);
    until_written(&writers, 100).await;
    acknowledged.extend(writers.finish().await);
    let after = committed(&new);
    // the writers may have stopped at exactly the awaited count
    assert!(after.len() >= before.len() + 100, "{} before, {} after", before.len(), after.len());
    let lost: Vec<_> = before.union(&acknowledged).filter(|id| !after.contains(id)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    until_all_have(&clients, after.len()).await;
    let logs: Vec<_> =
        clients.iter().map(|client| client.received(|received| received.log.clone())).collect();
    for log in &logs {
        ledger::check(log, &after).unwrap();
    }
    ledger::check_same(&logs).unwrap();
    for client in &clients {
        let gaps = client.received(|received| received.gaps.len());
        assert!(gaps <= 1, "{gaps} gaps for one restore");
    }
    // a new client gets the restored readings
    let listed = http::get(stack.gateways[0].public(), "/api/latest").await.unwrap().json();
    let sensors = "select count(distinct sensor_id) from sensor_readings";
    let sensors: usize = new.psql(DATABASE, sensors).unwrap().parse().unwrap();
    assert_eq!(listed["readings"].as_array().unwrap().len(), sensors);
    let (mut socket, _) = client::subscribed(stack.gateways[1].public(), r#"{"from":"latest"}"#).await;
    let messages = client::messages_until(&mut socket, |message| message.live.is_some()).await;
    assert_eq!(messages.iter().filter(|message| message.data.is_some()).count(), sensors);
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_of_logical_replication_are_delivered_exactly() {
    let publisher = Postgres::start_with(&["wal_level=logical"]).unwrap();
    let stack = Stack::start(Plan { gateways: 2, listeners: 1 }).await.unwrap();
    migrate(&publisher, DATABASE, stack.logs()).unwrap();
    let there = |sql: &str| publisher.psql(DATABASE, sql).unwrap();
    there("select setval('public.sensor_readings_id_seq', 1000000000)");
    let insert = |from: usize, to: usize| {
        let rows = format!("select 'writer-applied', n from generate_series({from}, {to}) n");
        there(&format!("insert into sensor_readings (sensor_id, value) {rows}"));
    };
    insert(1, 500);
    there("create publication readings for table sensor_readings with (publish_via_partition_root)");
    let trial = Trial::begin(stack).await;
    let origin = format!("host=127.0.0.1 port={} user=postgres dbname={DATABASE}", publisher.port());
    trial.stack.psql(&format!("create subscription readings connection '{origin}' publication readings"));
    // one by one, and many at once
    for round in 0..30 {
        insert(1_000 + 100 * round, 1_000 + 100 * round + [0, 60][round % 2]);
    }
    trial.progress("readings beside those that are applied").await;
    wait_for("what is applied", WITHIN, async || {
        let count = "select count(*) from sensor_readings where sensor_id = 'writer-applied'";
        let (theirs, ours) = (there(count), trial.stack.psql(count));
        if theirs == ours { Ok(()) } else { Err((theirs, ours)) }
    })
    .await;
    let summary = trial.end().await.unwrap();
    assert!(summary.readings > 1_400 && summary.clients == 4, "{summary:?}");
}
