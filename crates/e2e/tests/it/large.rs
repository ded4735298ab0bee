//! Readings that are too large, or too many for one page: each is told, and the leader needs no more memory for them.

use std::{collections::BTreeMap, process::Command, time::Duration};

use e2e::{
    Plan, Stack,
    client::{self, next_messages, subscribed},
    http,
};
use nix::sys::signal::Signal;
use testkit::wait_for;
use tokio::time::timeout;

async fn stack() -> Stack {
    Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap()
}

/// Lets a process have so much memory of its own, and no more.
fn limit_memory(pid: i32, bytes: u64) {
    let set = Command::new("prlimit").args(["--pid", &pid.to_string(), &format!("--data={bytes}")]).status();
    assert!(set.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_of_128_mib_forwards_whatever_lies_in_the_table() {
    let stack = stack().await;
    let listener = &stack.listeners[0];
    limit_memory(listener.process.id(), 128 << 20);
    let (mut socket, _) = subscribed(stack.gateways[0].public(), "{}").await;
    // an old table: it has no bound, or rows from before there was one
    stack.psql("alter table sensor_readings drop constraint if exists metadata_is_at_most_1_mib");
    listener.process.signal(Signal::SIGSTOP).unwrap();
    for metadata in [
        // 16 MiB that do not compress
        "(select to_jsonb(string_agg(md5(n::text), '')) from generate_series(1, 524288) n)",
        // 1.6 kB of a POST, gzipped: 52 MB of text
        "to_jsonb(array_fill(1e308::numeric, array[170000]))",
        // more text than Postgres can print
        "to_jsonb(array_fill(1e131071::numeric, array[9000]))",
    ] {
        stack.psql(&format!(
            "insert into sensor_readings (sensor_id, value, metadata) select 'large', 1, {metadata}"
        ));
    }
    stack.psql(
        "insert into sensor_readings (sensor_id, value, metadata)
         select 'honest', n, to_jsonb(repeat(md5(n::text), 1875)) from generate_series(1, 2500) n",
    );
    listener.process.signal(Signal::SIGCONT).unwrap();
    stack.psql("insert into sensor_readings (sensor_id, value) values ('end', 1)");

    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    let all = async {
        while !told.contains_key("end") {
            for message in next_messages(&mut socket).await.unwrap() {
                let Some(data) = message.data else { continue };
                let reading: wire::reading::ReadingObject = serde_json::from_str(data.get()).unwrap();
                assert_eq!(reading.truncated, reading.sensor_id == "large", "{}", reading.id);
                if reading.sensor_id == "honest" {
                    assert_eq!(reading.metadata.as_str().map(str::len), Some(60_000));
                }
                *told.entry(reading.sensor_id).or_default() += 1;
            }
        }
    };
    let told_in_time = timeout(Duration::from_secs(120), all).await;
    assert!(told_in_time.is_ok(), "{}", listener.process.tail());
    let expected = [("large", 3), ("honest", 2_500), ("end", 1)].map(|(sensor, n)| (sensor.to_owned(), n));
    assert_eq!(told, BTreeMap::from(expected));
    assert_eq!(listener.metric("rowcast_listener_losses_total").await.unwrap(), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_too_large_once_stored_is_refused_in_words() {
    let stack = stack().await;
    let numbers = |number: &str, count: usize| {
        format!(r#"[{{"sensor_id":"a","value":1,"metadata":[{}]}}]"#, vec![number; count].join(","))
    };
    for (body, status, says) in [
        (numbers("1e308", 170_000), 400, "1048576 bytes once its numbers are written out"),
        (numbers("1", 300_000), 413, "at most 1 MiB in the form in which it is stored"),
    ] {
        let answer = http::post(stack.ingest.public(), "/api/sensors/", &body).await.unwrap();
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(answer.body.contains(says), "{}", answer.body);
    }
    let whole = http::post(stack.ingest.public(), "/api/sensors/", &numbers("1", 80_000)).await.unwrap();
    assert_eq!(whole.status, 201, "{}", whole.body);
    // the limit is the database's: it holds for those who write SQL
    let sql = "insert into sensor_readings (sensor_id, value, metadata)
               select 'a', 1, to_jsonb(array_fill(1, array[300000]))";
    let refused = stack.postgres.psql(e2e::stack::DATABASE, sql).unwrap_err().to_string();
    assert!(refused.contains("metadata_is_at_most_1_mib"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_that_is_too_large_is_told_at_every_door_without_its_metadata() {
    let stack = stack().await;
    let (gateway, ingest) = (stack.gateways[0].public(), stack.ingest.public());
    let mut demo = client::connect_demo(gateway, "/ws/sensors/").await.unwrap();
    let (mut v1, _) = subscribed(gateway, "{}").await;
    let changes = http::get(gateway, "/api/changes").await.unwrap().body;
    let start: serde_json::Value = serde_json::from_str(changes.lines().last().unwrap()).unwrap();
    // 60 kB in the table, 1.5 MB of text
    stack.psql(
        "insert into sensor_readings (sensor_id, value, metadata)
         select 'large', 7, to_jsonb(array_fill(1e308::numeric, array[5000]))",
    );
    let truncated = |told: &str| {
        let flags = [r#""sensor_id":"large","value":7.0"#, r#""metadata":{}"#, r#""truncated":true"#];
        assert!(told.len() < 10_000 && flags.iter().all(|flag| told.contains(flag)), "{told:.500}");
    };
    truncated(&client::next_text(&mut demo).await.unwrap());
    let event = client::messages_until(&mut v1, |message| message.data.is_some()).await;
    truncated(event.last().unwrap().data.as_ref().unwrap().get());
    let next = start["next"].as_str().unwrap();
    for (addr, path) in [
        (gateway, format!("/api/changes?since={next}")),
        (gateway, "/api/readings".to_owned()),
        (gateway, "/api/latest".to_owned()),
        (gateway, "/api/sensors/large".to_owned()),
        (ingest, "/api/sensors/".to_owned()),
    ] {
        wait_for(&path, Duration::from_secs(10), async || {
            let answer = http::get(addr, &path).await.unwrap();
            assert_eq!(answer.status, 200, "{path}: {:.500}", answer.body);
            if answer.body.contains("large") {
                truncated(&answer.body.replace("\"value\":7,", "\"value\":7.0,"));
                return Ok(());
            }
            Err(answer.body)
        })
        .await;
    }
    let mut snapshot = subscribed(gateway, r#"{"from":"latest"}"#).await.0;
    let snapshot = client::messages_until(&mut snapshot, |message| message.data.is_some()).await;
    truncated(snapshot.last().unwrap().data.as_ref().unwrap().get());
}
