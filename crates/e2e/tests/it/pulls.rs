//! Pull: lines of JSON after a position.

use std::{net::SocketAddr, time::Duration};

use e2e::{Plan, Stack, client, http};
use serde_json::Value;
use testkit::{hostile::Peer, wait_for};
use tokio::time::{Instant, timeout};

async fn stack() -> Stack {
    Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap()
}

struct Pulled {
    values: Vec<i64>,
    next: String,
    more: bool,
    lines: Vec<Value>,
}

async fn pull(gateway: SocketAddr, query: &str) -> Pulled {
    let answer = http::get(gateway, &format!("/api/changes?{query}")).await.unwrap();
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-ndjson")));
    let lines: Vec<Value> = answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let end = lines.last().unwrap();
    Pulled {
        values: lines.iter().filter_map(|line| Some(line["data"]["value"].as_f64()? as i64)).collect(),
        next: end["next"].as_str().unwrap().to_owned(),
        more: end["more"].as_bool().unwrap(),
        lines,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_gives_everything_after_its_position_in_pages() {
    let stack = stack().await;
    let gateway = stack.gateways[0].public();
    let (mut socket, _) = client::subscribed(gateway, r#"{"sensors":["end"]}"#).await;
    let start = pull(gateway, "").await;
    assert_eq!((start.lines.len(), start.more), (1, false), "without a position it starts now");
    stack.psql("insert into sensor_readings (sensor_id, value) select 'a', n from generate_series(0, 24) n");
    stack.psql("insert into sensor_readings (sensor_id, value) values ('b', 100), ('end', 101)");
    client::messages_until(&mut socket, |message| message.data.is_some()).await;
    let (mut since, mut values) = (start.next.clone(), Vec::new());
    loop {
        let page = pull(gateway, &format!("since={since}&limit=10&sensor=a,b*")).await;
        assert!(page.values.len() <= 10);
        values.extend(page.values);
        since = page.next;
        if !page.more {
            break;
        }
    }
    assert_eq!(values, (0..25).chain([100]).collect::<Vec<_>>());
    // any line's position is as good as `next`
    let all = pull(gateway, &format!("since={}", start.next)).await;
    let middle = all.lines[12]["pos"].as_str().unwrap();
    assert_eq!(pull(gateway, &format!("since={middle}")).await.values, all.values[13..]);
    assert_eq!(pull(gateway, &format!("since={}", all.next)).await.values, [0; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_returns_with_the_first_match_or_when_its_time_is_over() {
    let stack = stack().await;
    let gateway = stack.gateways[0].public();
    let start = pull(gateway, "").await.next;
    let query = format!("since={start}&sensor=a&wait=12s");
    let began = Instant::now();
    let poll = pull(gateway, &query);
    let write = async {
        while stack.gateways[0].metric("rowcast_gateway_sessions").await.unwrap() < 1.0 {}
        stack.psql("insert into sensor_readings (sensor_id, value) values ('b', 1)");
        stack.psql("insert into sensor_readings (sensor_id, value) values ('a', 2)");
    };
    let (pulled, ()) = tokio::join!(poll, write);
    assert_eq!(pulled.values, [2]);
    assert!(began.elapsed() < Duration::from_secs(10), "it did not wait for its time");
    let query = format!("since={}&wait=300ms", pulled.next);
    let empty = timeout(Duration::from_secs(5), pull(gateway, &query));
    assert_eq!(empty.await.unwrap().values, [0; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_that_cannot_be_pulled_are_refused() {
    let mut stack = stack().await;
    let gateway = stack.gateways[0].public();
    let start = pull(gateway, "").await.next;
    for query in ["since=x", "since=1", "limit=0", "limit=x", "wait=x", "sensor=a*b", "since=99999999999.1.1"]
    {
        let answer = http::get(gateway, &format!("/api/changes?{query}")).await.unwrap();
        assert_eq!(answer.status, 400, "{query}: {}", answer.body);
    }
    let (mut socket, _) = client::subscribed(gateway, "{}").await;
    for value in 0..3 {
        stack.psql(&format!("insert into sensor_readings (sensor_id, value) values ('a', {value})"));
        client::messages_until(&mut socket, |message| message.data.is_some()).await;
    }
    stack.psql("delete from rowcast.tick where no < (select max(no) from rowcast.tick)");
    stack.redis.command(&["FLUSHALL"]).unwrap();
    stack.gateways[0].crash_and_start().unwrap();
    stack.gateways[0].await_ready().await;
    let pulled = pull(gateway, &format!("since={start}")).await;
    let gap = &pulled.lines[0]["gap"];
    assert_eq!((gap["from"].as_str(), gap["reason"].as_str()), (Some(start.as_str()), Some("retention")));
    assert_eq!(gap["to"].as_str(), Some(pulled.next.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_gateway_answers_its_long_polls() {
    let mut stack = stack().await;
    let gateway = stack.gateways[0].public();
    let query = format!("since={}&wait=40s", pull(gateway, "").await.next);
    let stop = async {
        while stack.gateways[0].metric("rowcast_gateway_sessions").await.unwrap() < 1.0 {}
        stack.gateways[0].process.signal(nix::sys::signal::Signal::SIGTERM).unwrap();
    };
    let (pulled, ()) = tokio::join!(timeout(Duration::from_secs(12), pull(gateway, &query)), stop);
    assert_eq!(pulled.expect("it does not wait for its time").values, [0; 0]);
    assert_eq!(stack.gateways.remove(0).process.wait(Duration::from_secs(25)).unwrap(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_remains_of_a_poll_whose_client_disconnects() {
    let stack = stack().await;
    let gateway = &stack.gateways[0];
    let start = pull(gateway.public(), "").await;
    let mut polls = Vec::new();
    for _ in 0..20 {
        let path = format!("/api/changes?since={}&sensor=nobody&wait=50s", start.next);
        polls.push(Peer::requesting(gateway.public(), "GET", &path).await.unwrap());
    }
    let count = async |name: &str, expected: f64| {
        wait_for(name, Duration::from_secs(10), async || match gateway.metric(name).await {
            Ok(found) if found == expected => Ok(()),
            found => Err(format!("{found:?}")),
        })
        .await;
    };
    count("rowcast_gateway_subscriptions", 20.0).await;
    drop(polls);
    count("rowcast_gateway_subscriptions", 0.0).await;
    count("rowcast_gateway_sessions", 0.0).await;
}
