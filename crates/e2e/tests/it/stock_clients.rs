//! Clients off the shelf: Python's websockets, npm's ws, curl, a browser's EventSource, and a page for the demo.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use e2e::{
    Driver, Plan, Stack, http,
    tokens::{self, Issuer},
};
use jsonwebtoken::Algorithm;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    doors::credentials::{await_known, key},
    page::built_page,
};

/// Subscribes, and prints a line for each message. With a second argument it trusts that authority; it brings a token of its
/// environment as a subprotocol, as clients do that set no headers.
pub(crate) const PYTHON: &str = r#"
import asyncio, json, os, ssl, sys, websockets

tokens = ["bearer." + token for token in [os.environ.get("ROWCAST_TOKEN")] if token]

async def main(url, *authority):
    trust = {"ssl": ssl.create_default_context(cafile=authority[0])} if authority else {}
    async with websockets.connect(url, subprotocols=["rowcast.v1", *tokens], **trust) as socket:
        await socket.send(json.dumps({"id": 1, "subscribe": {"sensors": ["stock"]}}))
        async for frame in socket:
            messages = json.loads(frame)
            for message in messages if isinstance(messages, list) else [messages]:
                print(json.dumps(message), flush=True)

asyncio.run(main(*sys.argv[1:]))
"#;

/// A program whose lines are read.
pub(crate) struct Lines {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Lines {
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The first line for which `found` returns a value.
    #[track_caller]
    pub(crate) fn until<T>(&mut self, found: impl Fn(&str) -> Option<T>) -> T {
        self.lines.by_ref().find_map(|line| found(&line.unwrap())).expect("the program continues")
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn post(stack: &Stack, value: i64) {
    let body = json!({"sensor_id": "stock", "value": value}).to_string();
    assert_eq!(http::post(stack.ingest.public(), "/api/sensors/", &body).await.unwrap().status, 201);
}

async fn stack() -> Stack {
    let page = built_page();
    let env = [("ws-gateway:ROWCAST_GATEWAY__PAGE", page.as_str())];
    Stack::start_with(Plan { gateways: 1, listeners: 1 }, &env).await.unwrap()
}

pub(crate) fn value(line: &str) -> Option<f64> {
    serde_json::from_str::<Value>(line).ok()?["data"]["value"].as_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn python_s_websockets_and_curl_receive_a_reading() {
    let stack = stack().await;
    let gateway = stack.gateways[0].public();
    let mut python = Lines::of(
        Command::new("/usr/bin/python3").args(["-c", PYTHON]).arg(format!("ws://{gateway}/ws/sensors/")),
    );
    python.until(|line| line.contains(r#""ok""#).then_some(()));
    let mut stream = Lines::of(
        Command::new("curl").args(["--silent", "--no-buffer"]).arg(format!("http://{gateway}/sse/sensors/")),
    );
    let live = stream.until(|line| line.strip_prefix("data: ").map(str::to_owned));
    let since = serde_json::from_str::<Value>(&live).unwrap()["pos"].as_str().unwrap().to_owned();
    post(&stack, 7).await;
    assert_eq!(python.until(value), 7.0);
    let data = stream.until(|line| line.strip_prefix("data: ").map(str::to_owned));
    assert_eq!(serde_json::from_str::<Value>(&data).unwrap()["value"], 7.0);
    let pull = format!("http://{gateway}/api/changes?since={since}");
    let mut pulled = Lines::of(Command::new("curl").arg("--silent").arg(pull));
    assert_eq!(pulled.until(value), 7.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn npm_s_ws_an_event_source_and_a_page_for_the_demo_receive_a_reading() {
    let mut stack = stack().await;
    let gateway = stack.gateways[0].public().to_string();
    let mut clients = Driver::start("stock.mjs", &[("ROWCAST_GATEWAY", &gateway)]);
    clients.call(json!({"who": "ws", "ends": ["ok"]}));
    clients.call(json!({"who": "events", "ends": ["live"]}));
    clients.call(json!({"who": "opened", "ends": 1}));
    post(&stack, 1).await;
    clients.call(json!({"who": "ws", "ends": ["ok", 1]}));
    clients.call(json!({"who": "events", "ends": ["live", 1]}));
    clients.call(json!({"who": "demo", "ends": [1]}));
    // the gateway is replaced: the browser reconnects by itself and the demo's page within its retry time
    stack.gateways[0].process.end(Signal::SIGTERM, Duration::from_secs(25)).unwrap();
    post(&stack, 2).await;
    stack.gateways[0].process.restart().unwrap();
    clients.call(json!({"who": "events", "ends": [2, "live"]}));
    clients.call(json!({"who": "opened", "ends": 2}));
    post(&stack, 3).await;
    clients.call(json!({"who": "events", "ends": [3]}));
    clients.call(json!({"who": "demo", "ends": [3]}));
}

/// A stack that asks for credentials, and a token that may read `stock`.
async fn guarded() -> (Stack, String, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let issuer = Issuer::new("https://issuer.test", "one", Algorithm::ES256).unwrap();
    let issuers = tokens::write_issuers(folder.path(), &[&[&issuer]]).unwrap();
    let page = built_page();
    let env = [
        ("ingest:ROWCAST_AUTH__ENABLED", "true"),
        ("ws-gateway:ROWCAST_AUTH__ENABLED", "true"),
        ("ws-gateway:ROWCAST_AUTH__ISSUERS_FILE", issuers.to_str().unwrap()),
        ("ws-gateway:ROWCAST_GATEWAY__PAGE", page.as_str()),
    ];
    let stack = Stack::start_with(Plan { gateways: 1, listeners: 1 }, &env).await.unwrap();
    (stack, issuer.token(&issuer.claims("viewer", &["stock"])), folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn python_by_a_subprotocol_and_curl_by_basic_say_who_they_are() {
    let (stack, token, _folder) = guarded().await;
    let gateway = stack.gateways[0].public();
    let both = key(&stack, &["--write", "stock", "--read", "stock"]);
    await_known(&stack, &key(&stack, &["--write", "stock"])).await;
    let mut parts = both.splitn(3, '_').skip(1);
    let basic = format!("{}:{}", parts.next().unwrap(), parts.next().unwrap());
    let python = ["-c", PYTHON, &format!("ws://{gateway}/ws/sensors/")];
    let mut python = Lines::of(Command::new("/usr/bin/python3").args(python).env("ROWCAST_TOKEN", token));
    python.until(|line| line.contains(r#""ok""#).then_some(()));
    let curl = |arguments: &[&str]| {
        Lines::of(Command::new("curl").args(["--silent", "--no-buffer", "--user", &basic]).args(arguments))
    };
    let mut stream = curl(&[&format!("http://{gateway}/sse/sensors/")]);
    stream.until(|line| line.starts_with("event: live").then_some(()));
    let to = format!("http://{}/api/sensors/", stack.ingest.public());
    curl(&["--json", r#"{"sensor_id":"stock","value":7}"#, &to])
        .until(|line| line.contains("success").then_some(()));
    assert_eq!(python.until(value), 7.0);
    stream.until(|line| line.contains(r#""value":7"#).then_some(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn npm_s_ws_by_a_subprotocol_and_a_browser_by_tickets_say_who_they_are() {
    let (stack, token, _folder) = guarded().await;
    let gateway = stack.gateways[0].public().to_string();
    let mut clients = Driver::start("stock.mjs", &[("ROWCAST_GATEWAY", &gateway), ("ROWCAST_TOKEN", &token)]);
    clients.call(json!({"who": "ws", "ends": ["ok"]}));
    clients.call(json!({"who": "events", "ends": ["live"]}));
    clients.call(json!({"who": "opened", "ends": 1}));
    stack.psql("insert into sensor_readings (sensor_id, value) values ('hidden', 1), ('stock', 2)");
    clients.call(json!({"who": "ws", "ends": ["ok", 2]}));
    clients.call(json!({"who": "events", "ends": ["live", 2]}));
    clients.call(json!({"who": "demo", "ends": [2]}));
}

/// What Telegraf writes as this output, and whether it was content.
fn telegraf(output: &str, ingest: &str, credential: &str) -> Result<(), String> {
    let program = std::env::var("ROWCAST_TELEGRAF").expect("cargo xtask test builds it");
    let ended = Command::new(program).args([output, ingest, credential]).output().unwrap();
    if ended.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&ended.stderr).into_owned()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn telegraf_s_outputs_for_both_versions_of_influxdb_write_with_a_device_key() {
    let (stack, token, _folder) = guarded().await;
    let ingest = format!("http://{}", stack.ingest.public());
    let written = key(&stack, &["--write", "cpu/*", "--write", "mem/*"]);
    let foreign = key(&stack, &["--write", "mem/*"]);
    await_known(&stack, &key(&stack, &["--write", "stock"])).await;
    let stored = || {
        stack.psql(
            "select sensor_id, value, timestamp at time zone 'utc' from sensor_readings order by sensor_id, id",
        )
    };
    let once = "cpu/cpu0/pi 4,=/count|7|2026-11-23 07:30:00.25\n\
                cpu/cpu0/pi 4,=/on|1|2026-11-23 07:30:00.25\n\
                cpu/cpu0/pi 4,=/usage|12.5|2026-11-23 07:30:00.25\n\
                mem/pi 4,=/free|9|2026-11-23 07:30:01.25";
    for output in ["influxdb_v2", "influxdb"] {
        for (refused, status) in [
            (foreign.as_str(), "403 Forbidden"),
            (token.as_str(), "401 Unauthorized"),
            ("none", "401 Unauthorized"),
        ] {
            let told = telegraf(output, &ingest, refused);
            // that of version 1 drops what it may not write
            let is_told = output == "influxdb" || told.is_err_and(|told| told.contains(status));
            assert!(is_told, "{output}: {status}");
            assert_eq!(stored(), "", "{output}");
        }
        telegraf(output, &ingest, &written).unwrap();
        assert_eq!(stored(), once, "{output}");
        stack.psql("delete from sensor_readings");
    }
}
