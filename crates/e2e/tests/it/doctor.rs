//! `rowcast doctor` of a healthy installation, of one that lacks a part, and of faults that the services report.

use std::{process::Command, time::Duration};

use e2e::{
    Plan, Stack, client, http,
    stack::{self, Running},
};
use tokio::task::spawn_blocking;

/// The beginning of each successful step's line.
const STEPS: [&str; 3] = ["ok      subscribe", "ok      store", "ok      deliver"];

/// Its exit code and its output.
async fn examine(stack: &Stack, within: &str, admins: &[&Running]) -> (Option<i32>, String) {
    let (ingest, gateway) = (stack.ingest.public(), stack.gateways[0].public());
    let mut doctor = Command::new(stack::binary("rowcast").unwrap());
    doctor.args(["doctor", "--within", within]);
    doctor.arg("--ingest").arg(format!("http://{ingest}")).arg("--gateway").arg(format!("http://{gateway}"));
    for service in admins {
        doctor.arg("--admin").arg(format!("http://{}", service.admin));
    }
    let ran = spawn_blocking(move || doctor.output().unwrap()).await.unwrap();
    (ran.status.code(), String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned())
}

/// Each line begins with the text before `…`, and contains the text after it.
#[track_caller]
fn check((code, output): (Option<i32>, String), expected: i32, lines: &[&str]) {
    assert_eq!(code, Some(expected), "{output}");
    let found: Vec<_> = output.lines().collect();
    assert_eq!(found.len(), lines.len(), "{output}");
    for (found, expected) in found.iter().zip(lines) {
        let mut parts = expected.split('…');
        assert!(found.starts_with(parts.next().unwrap()), "{expected}: {output}");
        assert!(parts.all(|part| found.contains(part)), "{expected}: {output}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_which_parts_work_and_which_do_not() {
    let stack = Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap();
    let [subscribed, stored, delivered] = STEPS;
    check(examine(&stack, "20s", &[]).await, 0, &[subscribed, stored, delivered, "ok: "]);
    let (listener, ingest) = (&stack.listeners[0], &stack.ingest);
    let ready = "ok      ready      http://127.0.0.1:";
    let all = [subscribed, stored, delivered, ready, ready, "ok: "];
    check(examine(&stack, "20s", &[listener, ingest]).await, 0, &all);
    listener.process.kill().unwrap();
    check(
        examine(&stack, "2s", &[listener, ingest]).await,
        1,
        &[subscribed, stored, "FAILED  deliver", "FAILED  ready…refused", ready, "check notify-listener"],
    );
    stack.ingest.process.kill().unwrap();
    check(examine(&stack, "2s", &[]).await, 1, &[subscribed, "FAILED  store", "check ingest"]);
    stack.gateways[0].process.kill().unwrap();
    let began = std::time::Instant::now();
    check(examine(&stack, "2s", &[]).await, 1, &["FAILED  subscribe", "check the gateway"]);
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_too_small_or_evicts_is_reported_in_one_sentence_everywhere() {
    let mut stack = Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap();
    let [subscribed, stored, delivered] = STEPS;
    let redis = |setting: &str, value: &str| stack.redis.command(&["CONFIG", "SET", setting, value]).unwrap();
    redis("maxmemory-policy", "allkeys-lru");
    for (maxmemory, sentence) in [
        ("50mb", "maxmemory is too small for the stream: needs 192 MiB, is 50 MiB"),
        ("1gb", "at its maxmemory Redis may evict the stream (maxmemory-policy is allkeys-lru)"),
    ] {
        stack.redis.command(&["CONFIG", "SET", "maxmemory", maxmemory]).unwrap();
        // it checks when it starts
        stack.listeners[0].crash_and_start().unwrap();
        let listener = &stack.listeners[0];
        listener.await_degraded("redis").await;
        assert_eq!(listener.metric("rowcast_degraded{condition=\"redis\"}").await.unwrap(), 1.0);
        let output = listener.process.output();
        assert_eq!(output.lines().filter(|line| line.contains(sentence)).count(), 1, "{output}");
        let warning = format!("WARNING ready…redis: {sentence}");
        let lines = [subscribed, stored, delivered, &warning, "ok: "];
        check(examine(&stack, "20s", &[listener]).await, 0, &lines);
    }
    stack.redis.command(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    stack.listeners[0].crash_and_start().unwrap();
    stack.listeners[0].await_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_refuses_is_reported_with_its_key_by_readiness_and_the_doctor() {
    let stack = Stack::start(Plan { gateways: 1, listeners: 2 }).await.unwrap();
    let posted = http::post(stack.ingest.public(), "/api/sensors/", r#"{"sensor_id":"a","value":1}"#).await;
    assert_eq!(posted.unwrap().status, 201);
    let redis = |words: &[&str]| stack.redis.command(words).unwrap();
    let (mut socket, _) = client::subscribed(stack.gateways[0].public(), r#"{"from":"latest"}"#).await;
    client::messages_until(&mut socket, |message| message.data.is_some()).await;
    let keys = redis(&["KEYS", "*:epochs"]);
    let epochs = keys.lines().find(|line| line.starts_with('{')).unwrap().to_owned();
    let faults: [(&[&str], String, &[&str]); 3] = [
        (
            &["ACL", "SETUSER", "default", "resetkeys", "~other*"],
            "NOPERM".to_owned(),
            &["ACL", "SETUSER", "default", "allkeys"],
        ),
        (&["SET", &epochs, "1"], format!("redis refuses…{epochs}…WRONGTYPE"), &["DEL", &epochs]),
        (
            &["XADD", &epochs, "99999999999-0", "e", "1"],
            format!("{epochs} names epoch 99999999999"),
            &["DEL", &epochs],
        ),
    ];
    for (fault, words, end) in faults {
        assert!(!redis(fault).starts_with('-'), "{fault:?}");
        let gateway = &stack.gateways[0];
        for listener in &stack.listeners {
            listener.await_degraded("forwarding").await;
        }
        gateway.await_degraded("feed").await;
        let (forwarding, feed) = (format!("forwarding: …{words}"), format!("feed: …{words}"));
        let warning = |what: &str| format!("WARNING ready…{what}");
        let listeners: Vec<_> = stack.listeners.iter().collect();
        let output = examine(&stack, "3s", &[listeners, vec![gateway]].concat()).await;
        let lines = [
            STEPS[0].to_owned(),
            STEPS[1].to_owned(),
            "FAILED  deliver…the gateway has no contact with the leader".to_owned(),
            warning(&forwarding),
            warning(&forwarding),
            warning(&feed),
            "check notify-listener".to_owned(),
        ];
        check(output, 1, &lines.each_ref().map(String::as_str));
        assert!(!redis(end).starts_with('-'), "{end:?}");
        for service in stack.services() {
            service.await_healthy().await;
        }
    }
    let posted = http::post(stack.ingest.public(), "/api/sensors/", r#"{"sensor_id":"a","value":2}"#).await;
    assert_eq!(posted.unwrap().status, 201);
    let messages = client::messages_until(&mut socket, |message| {
        message.data.as_ref().is_some_and(|data| data.get().contains(r#""sensor_id":"a""#))
    })
    .await;
    let mut stale: Vec<_> = messages.iter().filter_map(|message| Some(message.mark?.stale)).collect();
    stale.dedup();
    // before, and true and false again for each fault
    assert!(stale.len() <= 1 + 2 * 3, "{stale:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_maintenance_is_reported_and_does_not_stop_delivery() {
    let mut stack = Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap();
    let [subscribed, stored, delivered] = STEPS;
    // the next partition's name is taken
    let in_two_days = "'readings_' || to_char((now() at time zone 'utc')::date + 2, 'YYYYMMDD')";
    stack.psql(&format!(
        "do $$ begin
           execute format('drop table if exists rowcast.%I', {in_two_days});
           delete from rowcast.partition where name::text = {in_two_days};
           execute format('create table rowcast.%I (mine integer)', {in_two_days});
         end $$"
    ));
    stack.listeners[0].crash_and_start().unwrap();
    let listener = &stack.listeners[0];
    listener.await_degraded("upkeep").await;
    assert!(listener.metric("rowcast_listener_upkeep_failures_total").await.unwrap() >= 1.0);
    let warning = "WARNING ready…upkeep: ";
    check(examine(&stack, "20s", &[listener]).await, 0, &[subscribed, stored, delivered, warning, "ok: "]);
    stack.psql(&format!("do $$ begin execute format('drop table rowcast.%I', {in_two_days}); end $$"));
    listener.await_healthy().await;
    let made =
        stack.psql(&format!("select count(*) from rowcast.partition where name::text = {in_two_days}"));
    assert_eq!(made, "1");
}
