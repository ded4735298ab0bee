//! Readings that are too large, or too many for one page: each is delivered, and the leader needs no more memory for them.

use std::{collections::BTreeMap, net::SocketAddr, ops::Range, time::Duration};

use e2e::{
    Plan, Stack,
    client::{self, next_messages, subscribed},
    http,
};
use futures_util::future::join_all;
use nix::sys::signal::Signal;
use testkit::{cost, hostile::Peer, proxy::LinkState, wait_for};
use tokio::time::timeout;

async fn stack() -> Stack {
    Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_with_128_mib_forwards_whatever_is_in_the_table() {
    let stack = stack().await;
    let listener = &stack.listeners[0];
    cost::limit(listener.process.id(), 128 << 20).unwrap();
    let (mut socket, _) = subscribed(stack.gateways[0].public(), "{}").await;
    // an old table: it has no limit, or rows from before there was one
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

    let mut received: BTreeMap<String, usize> = BTreeMap::new();
    let all = async {
        while !received.contains_key("end") {
            for message in next_messages(&mut socket).await.unwrap() {
                let Some(data) = message.data else { continue };
                let reading: wire::reading::ReadingObject = serde_json::from_str(data.get()).unwrap();
                assert_eq!(reading.truncated, reading.sensor_id == "large", "{}", reading.id);
                if reading.sensor_id == "honest" {
                    assert_eq!(reading.metadata.as_str().map(str::len), Some(60_000));
                }
                *received.entry(reading.sensor_id).or_default() += 1;
            }
        }
    };
    let in_time = timeout(Duration::from_secs(120), all).await;
    assert!(in_time.is_ok(), "{}", listener.process.tail());
    let expected = [("large", 3), ("honest", 2_500), ("end", 1)].map(|(sensor, n)| (sensor.to_owned(), n));
    assert_eq!(received, BTreeMap::from(expected));
    assert_eq!(listener.metric("rowcast_listener_losses_total").await.unwrap(), 0.0);
}

/// Readings whose metadata is 900 kB of text that does not compress, each of a sensor of its own.
fn write_large(stack: &Stack, sensors: Range<usize>) {
    let (first, last) = (sensors.start, sensors.end - 1);
    stack.psql(&format!(
        "insert into sensor_readings (sensor_id, value, metadata)
         select 'large-' || lpad(n::text, 4, '0'), n, to_jsonb(n || one.text)
         from (select string_agg(md5(n::text), '') as text from generate_series(1, 28000) n) one,
              generate_series({first}, {last}) n"
    ));
}

/// The sensors of the events up to `live`, in the order of their arrival.
async fn sensors_until_live(gateway: SocketAddr, body: &str) -> Vec<String> {
    let (mut socket, first) = subscribed(gateway, body).await;
    assert!(first.ok.is_some(), "{first:?}");
    let mut sensors = Vec::new();
    loop {
        for message in next_messages(&mut socket).await.unwrap() {
            if let Some(data) = message.data {
                let reading: wire::reading::ReadingObject = serde_json::from_str(data.get()).unwrap();
                assert!(!reading.truncated, "{}", reading.id);
                sensors.push(reading.sensor_id);
            } else if message.live.is_some() {
                return sensors;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_s_memory_does_not_grow_with_the_large_readings_that_it_reads_from_postgres() {
    // the window keeps one of them
    let small = [("ws-gateway:ROWCAST_GATEWAY__WINDOW_BYTES", "1048576")];
    let stack = Stack::start_with(Plan { gateways: 1, listeners: 1 }, &small).await.unwrap();
    let gateway = &stack.gateways[0];
    let (mut live, ok) = subscribed(gateway.public(), r#"{"sensors":["end"]}"#).await;
    let resume = format!(r#"{{"from":"{}"}}"#, ok.ok.unwrap().pos.unwrap());
    let snapshot = r#"{"from":"latest"}"#.to_owned();
    let before = cost::resident(gateway.process.id()).unwrap();
    let (mut written, mut peaks) = (0, Vec::new());
    for more in [40, 120] {
        write_large(&stack, written..written + more);
        written += more;
        stack.psql("insert into sensor_readings (sensor_id, value) values ('end', 1)");
        client::messages_until(&mut live, |message| message.data.is_some()).await;
        let readers = [&snapshot, &resume, &snapshot, &resume];
        let read = readers.map(|body| sensors_until_live(gateway.public(), body));
        for mut sensors in join_all(read).await {
            sensors.retain(|sensor| sensor != "end");
            sensors.sort_unstable();
            let all: Vec<_> = (0..written).map(|number| format!("large-{number:04}")).collect();
            assert_eq!(sensors, all);
        }
        peaks.push(cost::peak(gateway.process.id()).unwrap() - before);
    }
    let grown = peaks[1] - peaks[0];
    assert!(grown < 32 << 20, "{grown} bytes more for 100 MB more, after {peaks:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_redis_does_not_accept_in_time_is_made_smaller() {
    let stack = stack().await;
    let listener = &stack.listeners[0];
    let (mut socket, _) = subscribed(stack.gateways[0].public(), "{}").await;
    // a whole page would need four seconds, and has two
    listener.to_redis.as_ref().unwrap().set(LinkState::Slow(1 << 20));
    stack.psql(
        "insert into sensor_readings (sensor_id, value, metadata)
         select 'a', n, to_jsonb(repeat(md5(n::text), 1875)) from generate_series(1, 150) n",
    );
    let mut received = 0;
    while received < 150 {
        received +=
            next_messages(&mut socket).await.unwrap().iter().filter(|message| message.data.is_some()).count();
    }
    assert_eq!(received, 150);
    assert!(listener.metric("rowcast_listener_losses_total").await.unwrap() >= 1.0, "nothing was too slow");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_that_would_be_too_large_once_stored_is_refused_with_a_reason() {
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
async fn a_reading_that_is_too_large_is_delivered_on_every_interface_without_its_metadata() {
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
    let truncated = |text: &str| {
        let flags = [r#""sensor_id":"large","value":7.0"#, r#""metadata":{}"#, r#""truncated":true"#];
        assert!(text.len() < 10_000 && flags.iter().all(|flag| text.contains(flag)), "{text:.500}");
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
    let mut events = Peer::requesting(gateway, "GET", &format!("/sse/sensors/?from={next}")).await.unwrap();
    truncated(&events.read_until(r#""truncated":true"#).await.unwrap());
}
