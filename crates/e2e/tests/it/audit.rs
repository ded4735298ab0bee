//! The loss audit: a reading that the stream lacks, however that came, is missed at the next entry, and delivered.

use std::time::Duration;

use e2e::{Plan, Stack, client, http};
use testkit::{proxy::LinkState, wait_for};

const SOON: Duration = Duration::from_secs(20);

/// The value of a script, a text. It is given the key of the only stream.
fn eval(stack: &Stack, script: &str, arguments: &[&str]) -> String {
    let script = format!("local key = redis.call('KEYS', '*:stream:*')[1] {script}");
    let answer = stack.redis.command(&[&["EVAL", &script, "0"], arguments].concat()).unwrap();
    // a bulk string: its length, its text
    answer.lines().nth(1).unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// The id of the stream's last entry.
fn last(stack: &Stack) -> String {
    eval(stack, "return redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1][1]", &[])
}

/// POSTs a reading and waits for its entry; the entry's id.
async fn entry(stack: &Stack, sensor: &str) -> String {
    let before = last(stack);
    post(stack, sensor).await;
    let is_there = async || if last(stack) == before { Err(before.clone()) } else { Ok(()) };
    wait_for("the reading's entry", SOON, is_there).await;
    last(stack)
}

pub(crate) async fn post(stack: &Stack, sensor: &str) {
    let body = format!(r#"{{"sensor_id":"{sensor}","value":1}}"#);
    assert_eq!(http::post(stack.ingest.public(), "/api/sensors/", &body).await.unwrap().status, 201);
}

/// Deletes the last two entries, and appends the last one again as if it came right after the one before them.
fn remove_the_last_but_one(stack: &Stack, [before, removed, last]: [&str; 3]) {
    let script = "local entry = redis.call('XRANGE', key, ARGV[3], ARGV[3])[1][2]
                  redis.call('XDEL', key, ARGV[2], ARGV[3])
                  redis.call('XSETID', key, ARGV[1])
                  return redis.call('XADD', key, ARGV[3], 'p', ARGV[1], 'm', entry[4], 'r', entry[6])";
    assert_eq!(eval(stack, script, &[before, removed, last]), last);
}

/// Three readings, of which the stream lacks the second before this gateway has seen any.
pub(crate) async fn lose_an_entry(stack: &Stack, gateway: usize) {
    let to_redis = stack.gateways[gateway].to_redis.as_ref().unwrap();
    to_redis.set(LinkState::Cut);
    let ids = [entry(stack, "one").await, entry(stack, "two").await, entry(stack, "three").await];
    remove_the_last_but_one(stack, ids.each_ref().map(String::as_str));
    to_redis.set(LinkState::Open);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_was_removed_is_missed_at_the_next_and_delivered() {
    let stack = Stack::start(Plan { gateways: 2, listeners: 1 }).await.unwrap();
    let gateway = &stack.gateways[0];
    let (mut socket, _) = client::subscribed(gateway.public(), r#"{"all":true}"#).await;
    post(&stack, "zero").await;
    client::messages_until(&mut socket, |message| message.data.is_some()).await;
    lose_an_entry(&stack, 0).await;

    let is_last = |data: &str| data.contains(r#""sensor_id":"three""#);
    let messages = client::messages_until(&mut socket, |message| {
        message.data.as_ref().is_some_and(|data| is_last(data.get()))
    });
    let data: Vec<String> =
        messages.await.into_iter().filter_map(|message| Some(message.data?.to_string())).collect();
    assert_eq!(data.len(), 3, "{data:?}");
    for (data, sensor) in data.iter().zip(["one", "two", "three"]) {
        assert!(data.contains(&format!(r#""sensor_id":"{sensor}""#)), "{sensor} in {data}");
    }
    let mismatches = async |gateway: usize| {
        stack.gateways[gateway].metric("rowcast_gateway_audit_mismatch_total").await.unwrap()
    };
    assert_eq!(
        (mismatches(0).await, mismatches(1).await),
        (1.0, 0.0),
        "the other one has taken all of it before"
    );
    assert_eq!(gateway.metric(r#"rowcast_gateway_taken_readings_total{source="log"}"#).await.unwrap(), 2.0);
    let log = std::fs::read_to_string(stack.logs().join("ws-gateway-0.log")).unwrap();
    let line = log.lines().find(|line| line.contains("other readings than the log counts"));
    assert!(line.is_some_and(|line| line.contains("from") && line.contains("counted")), "{log}");

    // from there on it is right again
    entry(&stack, "four").await;
    let head = async || match gateway.metric("rowcast_gateway_head_readings").await {
        Ok(5.0) => Ok(()),
        other => Err(other),
    };
    wait_for("the fifth reading", SOON, head).await;
    assert_eq!(mismatches(0).await, 1.0);
}
