//! Server-sent events: the same subscription over plain HTTP.

use std::{net::SocketAddr, time::Duration};

use e2e::{Plan, Stack, client, http};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

/// An event as `EventSource` would give it.
#[derive(Debug, Clone, PartialEq)]
struct Event {
    name: String,
    data: serde_json::Value,
    /// The last id, of this event or of one before.
    last_id: Option<String>,
}

/// A stream that is parsed as in the HTML standard.
struct Stream {
    reader: BufReader<TcpStream>,
    head: String,
    last_id: Option<String>,
}

impl Stream {
    async fn open(gateway: SocketAddr, path: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(gateway).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: rowcast\r\naccept: text/event-stream\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut stream = Self { reader: BufReader::new(stream), head: String::new(), last_id: None };
        while !stream.head.ends_with("\r\n\r\n") {
            let line = stream.line().await.expect("a head");
            stream.head.push_str(&line);
        }
        stream
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = timeout(Duration::from_secs(15), self.reader.read_line(&mut line));
        (read.await.expect("a line in time").unwrap() > 0).then_some(line)
    }

    /// The next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Event> {
        let (mut name, mut data) = ("message".to_owned(), None);
        loop {
            let line = self.line().await?;
            match line.trim_end_matches(['\r', '\n']).split_once(':') {
                Some(("id", id)) => self.last_id = Some(id.trim_start().to_owned()),
                Some(("event", own)) => own.trim_start().clone_into(&mut name),
                Some(("data", own)) => data = Some(serde_json::from_str(own.trim_start()).unwrap()),
                // the length of a chunk, a comment, retry
                Some(_) => {}
                None if line.trim().is_empty() => {
                    if let Some(data) = data.take() {
                        return Some(Event { name, data, last_id: self.last_id.clone() });
                    }
                    "message".clone_into(&mut name);
                }
                None => {}
            }
        }
    }

    async fn until(&mut self, name: &str) -> Vec<Event> {
        let mut all = Vec::new();
        loop {
            let event = self.next().await.expect("the stream continues");
            let found = event.name == name;
            all.push(event);
            if found {
                return all;
            }
        }
    }
}

async fn stack() -> Stack {
    Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap()
}

fn values(events: &[Event]) -> Vec<i64> {
    let readings = events.iter().filter(|event| event.name == "message");
    readings.map(|event| event.data["value"].as_f64().unwrap() as i64).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_delivers_matches_and_is_resumed_by_its_last_id() {
    let stack = stack().await;
    let gateway = stack.gateways[0].public();
    let mut stream = Stream::open(gateway, "/sse/sensors/?sensor=a,b*", "").await;
    assert!(stream.head.starts_with("HTTP/1.1 200"), "{}", stream.head);
    assert!(stream.head.to_ascii_lowercase().contains("content-type: text/event-stream"));
    let live = stream.until("live").await;
    assert_eq!(live[0].data["pos"].as_str(), live[0].last_id.as_deref(), "resumable before any event");
    stack.psql("insert into sensor_readings (sensor_id, value) values ('a', 1), ('c', 2), ('bb', 3)");
    let (first, second) = (stream.next().await.unwrap(), stream.next().await.unwrap());
    assert_eq!(values(&[first.clone(), second]), [1, 3]);
    drop(stream);
    stack.psql("insert into sensor_readings (sensor_id, value) values ('a', 4)");
    let header = format!("last-event-id: {}\r\n", first.last_id.unwrap());
    let mut stream = Stream::open(gateway, "/sse/sensors/?sensor=a,b*&from=latest", &header).await;
    let mut events = Vec::new();
    // the second may follow `live`, if it was not forwarded yet
    while values(&events).len() < 2 {
        events.push(stream.next().await.expect("the stream continues"));
    }
    assert_eq!(values(&events), [3, 4], "what came after the last id, once");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_breaks_a_stream() {
    let stack = stack().await;
    let mut stream = Stream::open(stack.gateways[0].public(), "/sse/sensors/", "").await;
    stream.until("live").await;
    let nasty = "a\nevent: bye\n\ndata: {}\r\rid: 1\u{2028}\u{85}";
    let body = serde_json::json!({"sensor_id": "id: data:", "value": 1, "metadata": {"text": nasty}});
    let answer = http::post(stack.ingest.public(), "/api/sensors/", &body.to_string()).await.unwrap();
    assert_eq!(answer.status, 201);
    let event = stream.next().await.unwrap();
    assert_eq!((event.name.as_str(), event.data["metadata"]["text"].as_str()), ("message", Some(nasty)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_a_gap_and_a_bad_position_have_their_events() {
    let mut stack = stack().await;
    let gateway = stack.gateways[0].public();
    let (mut socket, ok) = client::subscribed(gateway, "{}").await;
    let start = ok.ok.unwrap().pos.unwrap();
    for value in 0..3 {
        stack.psql(&format!("insert into sensor_readings (sensor_id, value) values ('a', {value})"));
        client::messages_until(&mut socket, |message| message.data.is_some()).await;
    }
    let mut stream = Stream::open(gateway, "/sse/sensors/?from=latest", "").await;
    let snapshot = stream.until("live").await;
    assert_eq!(values(&snapshot), [2]);
    assert_eq!(snapshot[0].last_id, None, "an event of a snapshot carries no position");
    for path in ["?from=nonsense", "?sensor=a*b", "?from=99999999999.1.1"] {
        let refused = http::get(gateway, &format!("/sse/sensors/{path}")).await.unwrap();
        assert_eq!(refused.status, 400, "{path}");
    }
    // an `EventSource` that reconnected from there would reconnect for ever
    for (query, header) in [("", "99999999999.1.1"), ("", "nonsense"), ("?lastEventId=nonsense", "")] {
        let headers = [("last-event-id", header)];
        let headers = if header.is_empty() { &headers[..0] } else { &headers[..] };
        let stopped =
            http::send(gateway, "GET", &format!("/sse/sensors/{query}"), headers, b"").await.unwrap();
        assert_eq!(stopped.status, 204, "{query} {header}");
    }
    let mut new = Stream::open(gateway, "/sse/sensors/", "last-event-id: \r\n").await;
    assert!(new.head.contains("cache-control: no-store, no-transform"), "{}", new.head);
    new.until("live").await;
    let mut resumed = Stream::open(gateway, &format!("/sse/sensors/?lastEventId={start}"), "").await;
    assert_eq!(values(&resumed.until("live").await), [0, 1, 2], "as polyfills ask");
    stack.psql("delete from rowcast.tick where no < (select max(no) from rowcast.tick)");
    stack.redis.command(&["FLUSHALL"]).unwrap();
    stack.gateways[0].crash_and_start().unwrap();
    stack.gateways[0].await_ready().await;
    let mut stream = Stream::open(gateway, &format!("/sse/sensors/?from={start}"), "").await;
    let gap = stream.until("gap").await;
    assert_eq!(gap[0].data["reason"], "retention");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_gateway_sends_bye_and_ends_its_streams() {
    let mut stack = stack().await;
    let mut stream = Stream::open(stack.gateways[0].public(), "/sse/sensors/", "").await;
    stream.until("live").await;
    stack.gateways[0].process.signal(nix::sys::signal::Signal::SIGTERM).unwrap();
    let bye = stream.until("bye").await;
    assert_eq!(bye.last().unwrap().data["code"], 1012);
    assert_eq!(stream.next().await, None);
    assert_eq!(stack.gateways.remove(0).process.wait(Duration::from_secs(25)).unwrap(), Some(0));
}
