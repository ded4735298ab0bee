//! Clients off the shelf: Python's websockets, npm's ws, curl, a browser's EventSource, and a page for the demo.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use e2e::{Driver, Plan, Stack, http};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::page::built_page;

/// Subscribes, and prints a line for each message. With a second argument it trusts that authority.
pub(crate) const PYTHON: &str = r#"
import asyncio, json, ssl, sys, websockets

async def main(url, *authority):
    trust = {"ssl": ssl.create_default_context(cafile=authority[0])} if authority else {}
    async with websockets.connect(url, subprotocols=["rowcast.v1"], **trust) as socket:
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
