//! The TypeScript client in Node against real gateways: it resumes, and reports what cannot be delivered.

use std::time::Duration;

use e2e::{Driver, Plan, Stack, http};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use testkit::wait_for;

/// A client of the first gateway, through `frontend/e2e/client.mjs`.
struct Library(Driver);

impl Library {
    fn open(stack: &Stack) -> Self {
        Self::with(json!({"url": format!("ws://{}/ws/sensors/", stack.gateways[0].public())}))
    }

    fn with(addresses: Value) -> Self {
        let mut library = Self(Driver::start("client.mjs", &[]));
        library.call(json!({"cmd": "open", "addresses": addresses}));
        library
    }

    #[track_caller]
    fn call(&mut self, command: Value) -> Value {
        self.0.call(command)
    }

    #[track_caller]
    fn subscribe(&mut self, name: &str, options: Value) {
        self.call(json!({"cmd": "subscribe", "name": name, "options": options}));
    }

    #[track_caller]
    fn wait_state(&mut self, state: &str) {
        self.call(json!({"cmd": "wait_state", "state": state, "timeout_ms": 40_000}));
    }

    #[track_caller]
    fn wait_ids(&mut self, name: &str, ids: &[i64]) {
        self.call(json!({"cmd": "wait_ids", "name": name, "ids": ids, "timeout_ms": 40_000}));
    }

    /// Exactly these readings, in this order, and none dropped as a duplicate.
    #[track_caller]
    fn check(&mut self, name: &str, ids: &[i64]) {
        let received = self.call(json!({"cmd": "received", "name": name}));
        assert_eq!((&received["ids"], &received["doubles"]), (&json!(ids), &json!(0)), "{name}");
    }
}

async fn one_gateway() -> Stack {
    Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap()
}

fn insert(stack: &Stack, sensor: &str, count: i64) -> Vec<i64> {
    let sql = format!(
        "insert into sensor_readings (sensor_id, value) select '{sensor}', n from generate_series(1, {count}) n \
         returning id"
    );
    stack.psql(&sql).lines().filter_map(|line| line.parse().ok()).collect()
}

/// Waits until the listener has numbered everything that is stored.
async fn numbered(stack: &Stack) {
    let sql = "select (select sum(rows) from rowcast.tick), (select count(*) from sensor_readings)";
    wait_for("a tick for each reading", Duration::from_secs(10), || async {
        let counts = stack.psql(sql);
        match counts.trim().split_once('|') {
            Some((numbered, stored)) if numbered == stored => Ok(()),
            _ => Err(counts),
        }
    })
    .await;
}

/// The gateway is killed, and then drained, while readings are written: each arrives once. `all` has arrived already.
async fn check_both_ends(stack: &mut Stack, library: &mut Library, mut all: Vec<i64>) {
    stack.gateways[0].process.kill().unwrap();
    library.wait_state("reconnecting");
    let mut cellar = insert(stack, "cellar-1", 50);
    stack.gateways[0].process.restart().unwrap();
    all.extend(&cellar);
    library.wait_ids("all", &all);
    library.wait_ids("cellar", &cellar);

    // a drain sends the time to reconnect
    library.wait_state("live");
    stack.gateways[0].process.end(Signal::SIGTERM, Duration::from_secs(15)).unwrap();
    library.wait_state("reconnecting");
    all.extend(insert(stack, "kitchen", 50));
    stack.gateways[0].process.restart().unwrap();
    let more = insert(stack, "cellar-2", 1);
    all.extend(&more);
    cellar.extend(&more);
    library.wait_ids("all", &all);
    library.wait_ids("cellar", &cellar);
    library.wait_state("live");
    library.check("all", &all);
    library.check("cellar", &cellar);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_library_gets_each_reading_once_however_its_gateway_ends() {
    let mut stack = one_gateway().await;
    let mut library = Library::open(&stack);
    library.subscribe("all", json!({}));
    library.subscribe("cellar", json!({"sensors": ["cellar*"], "from": "latest"}));
    library.wait_state("live");
    let body = r#"{"sensor_id":"kitchen","value":21}"#;
    let posted = http::post(stack.ingest.public(), "/api/sensors/", body).await.unwrap().json();
    let all = vec![posted["id"].as_i64().unwrap()];
    library.wait_ids("all", &all);

    check_both_ends(&mut stack, &mut library, all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_iterator_of_the_client_library_loses_nothing() {
    let stack = one_gateway().await;
    let mut library = Library::open(&stack);
    let options = json!({"queue": 10});
    library.call(json!({"cmd": "subscribe", "name": "slow", "options": options, "iterated": true}));
    library.wait_state("live");
    let mut ids = insert(&stack, "s", 300);
    library.call(json!({"cmd": "wait_paused", "name": "slow"}));
    ids.extend(insert(&stack, "s", 300));
    let taken = library.call(json!({"cmd": "take", "name": "slow", "count": ids.len()}));
    assert_eq!(taken["ids"], json!(ids));
    library.wait_state("live");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_library_reports_what_retention_deleted() {
    let mut stack = one_gateway().await;
    let mut library = Library::open(&stack);
    library.subscribe("all", json!({}));
    library.wait_state("live");
    let seen = insert(&stack, "s", 1);
    library.wait_ids("all", &seen);
    stack.gateways[0].process.kill().unwrap();
    library.wait_state("reconnecting");
    for _ in 0..2 {
        insert(&stack, "s", 1);
        numbered(&stack).await;
    }
    stack.psql("delete from rowcast.tick where no < (select max(no) from rowcast.tick)");
    // a gateway that starts fills its window from the stream
    stack.redis.command(&["FLUSHALL"]).unwrap();
    stack.gateways[0].process.restart().unwrap();
    library.call(json!({"cmd": "wait_event", "name": "all", "type": "gap", "timeout_ms": 40_000}));
    library.wait_state("live");
    let later = insert(&stack, "s", 1);
    library.wait_ids("all", &later);
    let received = library.call(json!({"cmd": "received", "name": "all"}));
    let gap = received["events"].as_array().unwrap().iter().find(|event| event["type"] == "gap").unwrap();
    assert_eq!(gap["reason"], "retention");
    assert!(gap["lastHeard"].is_number(), "{gap}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_library_gets_the_same_where_websockets_are_blocked() {
    let mut stack = one_gateway().await;
    let closed_port = testkit::postgres::free_port().unwrap();
    let mut library = Library::with(json!({
        "url": format!("ws://127.0.0.1:{closed_port}/ws/sensors/"),
        "streamUrl": format!("http://{}/sse/sensors/", stack.gateways[0].public()),
    }));
    library.subscribe("all", json!({}));
    library.subscribe("cellar", json!({"sensors": ["cellar*"], "from": "latest"}));
    library.wait_state("live");
    let all = insert(&stack, "kitchen", 3);
    library.wait_ids("all", &all);
    check_both_ends(&mut stack, &mut library, all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_library_can_start_minutes_ago_or_with_the_newest() {
    let stack = one_gateway().await;
    let mut ids = insert(&stack, "s", 20);
    let mut library = Library::open(&stack);
    library.subscribe("last", json!({"from": {"last": "15m"}}));
    library.subscribe("newest", json!({"from": "latest", "mode": "latest", "maxRate": 2}));
    library.wait_ids("last", &ids);
    library.wait_ids("newest", &ids[19..]);
    library.wait_state("live");
    for _ in 0..30 {
        ids.extend(insert(&stack, "s", 1));
    }
    library.wait_ids("last", &ids);
    library.check("last", &ids);
    library.call(json!({"cmd": "wait_count", "name": "newest", "count": 30, "timeout_ms": 40_000}));
    let received = library.call(json!({"cmd": "received", "name": "newest"}));
    let newest = received["ids"].as_array().unwrap();
    assert!(newest.len() < 30 && newest.last() == Some(&json!(ids[49])), "{newest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_library_reports_a_gateway_that_may_be_behind() {
    let stack = one_gateway().await;
    let mut library = Library::open(&stack);
    library.subscribe("all", json!({}));
    library.wait_state("live");
    stack.listeners[0].process.signal(Signal::SIGSTOP).unwrap();
    library.call(json!({"cmd": "wait_stale", "stale": true, "timeout_ms": 40_000}));
    library.wait_state("live");
    stack.listeners[0].process.signal(Signal::SIGCONT).unwrap();
    library.call(json!({"cmd": "wait_stale", "stale": false, "timeout_ms": 40_000}));
}
