//! The page in a real Chromium: what it shows, and that no restart loses or duplicates a reading on it.

use std::path::PathBuf;

use e2e::{Browser, Plan, Stack, http};
use nix::sys::signal::Signal;
use serde_json::json;
use testkit::{Proxy, proxy::LinkState};

/// The folder of the built page. `cargo xtask test` builds it and sets the variable.
pub(crate) fn built_page() -> String {
    let built = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../frontend/build/client");
    let folder = std::env::var_os("ROWCAST_PAGE_DIR").map_or(built, PathBuf::from);
    assert!(folder.join("index.html").is_file(), "the page is not built: run `cargo xtask test`");
    folder.display().to_string()
}

async fn post(stack: &Stack, value: i64) -> i64 {
    let body = format!(r#"{{"sensor_id":"kitchen","value":{value},"metadata":{{"unit":"°C"}}}}"#);
    http::post(stack.ingest.public(), "/api/sensors/", &body).await.unwrap().json()["id"].as_i64().unwrap()
}

fn insert(stack: &Stack, value: i64) -> i64 {
    let sql =
        format!("insert into sensor_readings (sensor_id, value) values ('cellar', {value}) returning id");
    stack.psql(&sql).lines().next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_every_reading_once_whatever_restarts() {
    let page = built_page();
    let env = [("ws-gateway:ROWCAST_GATEWAY__PAGE", page.as_str())];
    let mut stack = Stack::start_with(Plan { gateways: 1, listeners: 1 }, &env).await.unwrap();
    let network = Proxy::start(stack.gateways[0].public()).await.unwrap();
    let mut browser = Browser::start(&format!("http://{}/", network.addr()));
    browser.call(json!({"cmd": "open"}));
    browser.wait_status("Connected");
    browser.call(json!({"cmd": "wait_text", "testid": "empty", "text": "Waiting for sensor data", "timeout_ms": 5_000}));

    let mut ids = vec![post(&stack, 21).await];
    browser.call(json!({"cmd": "wait_value", "sensor": "kitchen", "value": "21", "timeout_ms": 5_000}));
    browser.call(json!({"cmd": "wait_text", "testid": "badge", "text": "Realtime", "timeout_ms": 5_000}));
    ids.push(insert(&stack, 7));
    browser.call(json!({"cmd": "wait_value", "sensor": "cellar", "value": "7", "timeout_ms": 5_000}));

    let violations = browser.call(json!({"cmd": "axe"}));
    assert_eq!(violations["violations"], json!([]));
    let foreign = browser.call(json!({"cmd": "requests"}));
    assert_eq!(foreign["urls"], json!([]), "no third-party request");
    let errors = browser.call(json!({"cmd": "console_errors"}));
    assert_eq!(errors["errors"], json!([]));

    stack.listeners[0].crash_and_start().unwrap();
    ids.push(post(&stack, 22).await);
    browser.wait_ids(&ids);
    stack.gateways[0].process.kill().unwrap();
    browser.wait_status("Disconnected");
    browser.call(json!({"cmd": "wait_text", "testid": "badge", "text": "Cache", "timeout_ms": 5_000}));
    ids.push(post(&stack, 23).await);
    stack.gateways[0].process.restart().unwrap();
    browser.wait_ids(&ids);
    browser.wait_status("Connected");
    stack.redis.crash_and_start().unwrap();
    ids.push(insert(&stack, 8));
    browser.wait_ids(&ids);
    stack.ingest.crash_and_start().unwrap();
    stack.ingest.await_ready().await;
    ids.push(post(&stack, 24).await);
    browser.wait_ids(&ids);
    stack.postgres.crash_and_start().unwrap();
    ids.push(insert(&stack, 9));
    browser.wait_ids(&ids);
    // Chromium's offline mode does not close open sockets
    network.set(LinkState::Frozen);
    browser.call(json!({"cmd": "offline"}));
    browser.wait_status("Disconnected");
    ids.push(insert(&stack, 10));
    network.set(LinkState::Open);
    browser.call(json!({"cmd": "online"}));
    browser.wait_ids(&ids);
    browser.wait_status("Connected");

    // the gateway receives neither new readings nor heartbeats
    stack.listeners[0].process.signal(Signal::SIGSTOP).unwrap();
    browser.wait_status("Delayed");
    browser.call(json!({"cmd": "wait_text", "testid": "late", "text": "may be late", "timeout_ms": 5_000}));
    browser.call(json!({"cmd": "wait_text", "testid": "badge", "text": "Cache", "timeout_ms": 5_000}));
    assert_eq!(browser.call(json!({"cmd": "axe"}))["violations"], json!([]));
    stack.listeners[0].process.signal(Signal::SIGCONT).unwrap();
    browser.wait_status("Connected");

    let counters = browser.call(json!({"cmd": "counters"}));
    assert_eq!(
        (&counters["received"], &counters["duplicates"], &counters["gaps"]),
        (&json!(ids.len()), &json!(0), &json!(0))
    );
    let order = browser.call(json!({"cmd": "ids"}));
    assert_eq!(order["ids"], json!(ids), "in the one order");
    if let Ok(folder) = std::env::var("ROWCAST_SCREENSHOTS") {
        browser.call(json!({"cmd": "screenshot", "path": format!("{folder}/page.png")}));
    }
    browser.call(json!({"cmd": "quit"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_are_shown_without_anything_from_elsewhere() {
    let page = built_page();
    let env = [("ws-gateway:ROWCAST_GATEWAY__PAGE", page.as_str())];
    let stack = Stack::start_with(Plan { gateways: 1, listeners: 1 }, &env).await.unwrap();
    post(&stack, 21).await;
    let gateway = stack.gateways[0].public();
    let policy = http::get(gateway, "/docs").await.unwrap();
    let policy = policy.header("content-security-policy").unwrap();
    assert!(!policy.contains("unsafe"), "{policy}");
    let mut browser = Browser::start(&format!("http://{gateway}/"));
    browser.call(json!({"cmd": "open", "path": "/docs"}));
    browser
        .call(json!({"cmd": "wait_text", "testid": "viewer", "text": "/api/readings", "timeout_ms": 20_000}));
    browser.call(json!({"cmd": "wait_text", "testid": "viewer", "text": "/api/sensors/{sensor_id}", "timeout_ms": 5_000}));
    assert_eq!(browser.call(json!({"cmd": "requests"}))["urls"], json!([]), "no third-party request");
    assert_eq!(
        browser.call(json!({"cmd": "console_errors"}))["errors"],
        json!([]),
        "nothing is refused by the policy"
    );
    if let Ok(folder) = std::env::var("ROWCAST_SCREENSHOTS") {
        browser.call(json!({"cmd": "screenshot", "path": format!("{folder}/docs.png"), "full": true}));
    }
    browser.call(json!({"cmd": "quit"}));
    let stack = Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap();
    assert_eq!(
        http::get(stack.gateways[0].public(), "/docs").await.unwrap().status,
        404,
        "no page, no viewer"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn below_a_prefix_the_page_finds_all_its_resources() {
    let page = built_page();
    let env = [
        ("ingest:ROWCAST_HTTP__PREFIX", "/a/rowcast"),
        ("ws-gateway:ROWCAST_HTTP__PREFIX", "/a/rowcast"),
        ("ws-gateway:ROWCAST_GATEWAY__PAGE", page.as_str()),
    ];
    let stack = Stack::start_with(Plan { gateways: 1, listeners: 1 }, &env).await.unwrap();
    let gateway = stack.gateways[0].public();
    post(&stack, 21).await;
    // the second as through a forwarded port
    for prefix in ["/a/rowcast", ""] {
        let mut browser = Browser::start(&format!("http://{gateway}/"));
        browser.call(json!({"cmd": "open", "path": format!("{prefix}/")}));
        browser.wait_status("Connected");
        browser.call(json!({"cmd": "wait_value", "sensor": "kitchen", "value": "21", "timeout_ms": 5_000}));
        browser.call(json!({"cmd": "open", "path": format!("{prefix}/docs")}));
        browser.call(
            json!({"cmd": "wait_text", "testid": "viewer", "text": "/api/readings", "timeout_ms": 20_000}),
        );
        assert_eq!(browser.call(json!({"cmd": "console_errors"}))["errors"], json!([]), "{prefix}");
        browser.call(json!({"cmd": "quit"}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_leaves_out_the_sensors_that_its_address_names() {
    let page = built_page();
    let env = [("ws-gateway:ROWCAST_GATEWAY__PAGE", page.as_str())];
    let stack = Stack::start_with(Plan { gateways: 1, listeners: 1 }, &env).await.unwrap();
    let gateway = stack.gateways[0].public();
    let mut browser = Browser::start(&format!("http://{gateway}/"));
    browser.call(json!({"cmd": "open", "path": "/?hide=rowcast-canary,cell*"}));
    browser.wait_status("Connected");
    let hidden = insert(&stack, 7);
    let shown = post(&stack, 21).await;
    browser.wait_ids(&[hidden, shown]);
    browser.call(json!({"cmd": "wait_value", "sensor": "kitchen", "value": "21", "timeout_ms": 5_000}));
    browser
        .call(json!({"cmd": "wait_text", "testid": "latest-sensor", "text": "kitchen", "timeout_ms": 5_000}));
    assert_eq!(browser.call(json!({"cmd": "counters"}))["received"], 1, "the other one is not shown");
}
