//! The options of a subscription: the newest only, a start in the past, several at once.

use std::time::Duration;

use e2e::{
    Plan, Stack,
    client::{self, Socket, messages_until, send, subscribed},
};
use wire::ServerMessage;

async fn stack() -> Stack {
    Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap()
}

fn insert(stack: &Stack, sensor: &str, values: std::ops::Range<i64>) {
    for value in values {
        stack.psql(&format!("insert into sensor_readings (sensor_id, value) values ('{sensor}', {value})"));
    }
}

fn values(messages: &[ServerMessage]) -> Vec<i64> {
    let data = messages.iter().filter_map(|message| message.data.as_ref());
    data.map(|data| client::event(data.get()).unwrap().value).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn mode_latest_merges_readings_that_arrive_faster_than_its_rate() {
    let stack = stack().await;
    let body = r#"{"mode":"latest","max_rate":0.5,"sensors":["a"]}"#;
    let (mut socket, ok) = subscribed(stack.gateways[0].public(), body).await;
    assert!(ok.ok.unwrap().pos.is_some());
    insert(&stack, "a", 0..1);
    let first = messages_until(&mut socket, |message| message.data.is_some()).await;
    let event = first.iter().find(|message| message.data.is_some()).unwrap();
    assert_eq!((event.pos, event.merged), (None, None), "an event of mode latest carries no position");
    insert(&stack, "a", 1..6);
    let rest = messages_until(&mut socket, |message| message.data.is_some()).await;
    let event = rest.iter().find(|message| message.data.is_some()).unwrap();
    assert_eq!((values(&rest), event.merged), (vec![5], Some(4)), "the newest, and how many were left out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_in_the_past_begins_with_what_was_committed_since() {
    let stack = stack().await;
    let gateway = stack.gateways[0].public();
    let (mut socket, _) = subscribed(gateway, "{}").await;
    insert(&stack, "a", 0..3);
    while values(&messages_until(&mut socket, |message| message.data.is_some()).await).last() != Some(&2) {}
    // as if these had been committed an hour ago
    stack.psql("update rowcast.tick set at = at - interval '1 hour'");
    insert(&stack, "a", 3..5);
    while values(&messages_until(&mut socket, |message| message.data.is_some()).await).last() != Some(&4) {}
    for (last, expected) in [("10m", vec![3, 4]), ("2h", vec![0, 1, 2, 3, 4])] {
        let body = format!(r#"{{"from":{{"last":"{last}"}}}}"#);
        let (mut socket, ok) = subscribed(gateway, &body).await;
        let ok = ok.ok.unwrap();
        assert_eq!(ok.resumed, Some(last == "10m"), "the log is younger than two hours");
        let replay = messages_until(&mut socket, |message| message.live.is_some()).await;
        assert_eq!(values(&replay), expected, "{last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_snapshot_arrives_in_pages_without_loss_or_duplicates() {
    let stack = stack().await;
    let gateway = stack.gateways[0].public();
    let (mut watch, _) = subscribed(gateway, r#"{"sensors":["end"]}"#).await;
    stack.psql(
        "insert into sensor_readings (sensor_id, value)
         select 's' || to_char(n, 'FM0000'), n from generate_series(1, 2500) n",
    );
    insert(&stack, "end", 0..1);
    messages_until(&mut watch, |message| message.data.is_some()).await;
    let (mut socket, ok) = subscribed(gateway, r#"{"sensors":["s*","end"],"from":"latest"}"#).await;
    assert_eq!(ok.ok.unwrap().pos, None);
    let snapshot = messages_until(&mut socket, |message| message.live.is_some()).await;
    let mut sensors: Vec<String> = snapshot
        .iter()
        .filter_map(|message| Some(client::event(message.data.as_ref()?.get()).unwrap().sensor))
        .collect();
    assert_eq!(sensors.len(), 2501);
    assert!(sensors.is_sorted());
    sensors.dedup();
    assert_eq!(sensors.len(), 2501, "each sensor once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_is_sent_also_when_nothing_matches() {
    let stack = stack().await;
    let (mut socket, ok) = subscribed(stack.gateways[0].public(), r#"{"sensors":["nobody"]}"#).await;
    let start = ok.ok.unwrap().pos.unwrap();
    insert(&stack, "a", 0..3);
    let messages = messages_until(&mut socket, |message| message.mark.is_some()).await;
    let mark = messages.last().unwrap().mark.unwrap();
    assert!(mark.pos > start && mark.n == 0 && !mark.stale, "{mark:?}");
}

/// Returns when a mark has this state: at once, not with the next heartbeat.
async fn wait_for_stale(socket: &mut Socket, stale: bool) {
    let notified = messages_until(socket, |message| message.mark.is_some_and(|mark| mark.stale == stale));
    tokio::time::timeout(Duration::from_secs(9), notified)
        .await
        .expect("at once, not with the next heartbeat");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_notified_when_the_leader_is_lost_and_when_there_is_one_again() {
    let mut stack = stack().await;
    let (mut socket, _) = subscribed(stack.gateways[0].public(), "{}").await;
    stack.listeners[0].process.kill().unwrap();
    wait_for_stale(&mut socket, true).await;
    assert_eq!(stack.gateways[0].metric("rowcast_gateway_stale").await.unwrap(), 1.0);
    let (mut late, _) = subscribed(stack.gateways[0].public(), "{}").await;
    wait_for_stale(&mut late, true).await;
    stack.gateways[0].await_ready().await;
    stack.listeners[0].process.restart().unwrap();
    wait_for_stale(&mut socket, false).await;
    wait_for_stale(&mut late, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_a_subscription_and_more_can_follow() {
    let stack = stack().await;
    let url = format!("ws://{}/ws/sensors/?v=1&sensor=a,b*&from=now", stack.gateways[0].public());
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let first = messages_until(&mut socket, |message| message.ok.is_some()).await;
    assert!(first[0].hello.is_some());
    assert_eq!((first[1].id, first[1].ok.unwrap().sub), (None, 1));
    send(&mut socket, r#"[{"id":5,"subscribe":{"sensors":["a"]}},{"id":6,"ping":{}}]"#).await;
    let answers = messages_until(&mut socket, |message| message.pong.is_some()).await;
    assert!(answers.iter().any(|message| message.id == Some(6) && message.pong.is_some()));
    insert(&stack, "a", 0..1);
    let mut subs = Vec::new();
    while subs.len() < 2 {
        let messages = client::next_messages(&mut socket).await.unwrap();
        subs.extend(messages.iter().filter(|message| message.data.is_some()).map(|m| m.sub.unwrap()));
    }
    subs.sort_unstable();
    assert_eq!(subs, [1, 2], "each subscription gets its own event");
}
