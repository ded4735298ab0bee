//! What all interfaces have in common: each id can be followed, foreign pages are refused, wrong methods and media types
//! are answered alike.

use std::net::SocketAddr;

use e2e::{Plan, Stack, client, http};
use serde_json::{Value, json};
use testkit::hostile::Peer;
use wire::Pattern;

/// Ids with characters that have a special meaning in some layer.
const IDS: [&str; 20] = [
    "a,b",
    "a*",
    "*",
    "a\\",
    "\\*",
    "\\\\",
    "a\\,b",
    "%41",
    "%",
    "a&b=c",
    "a+b",
    "a#b",
    "..",
    "a/b",
    "?x",
    "\"q\"",
    "<b>",
    "ä ö",
    "🌡",
    "'; drop table x; --",
];

async fn stack() -> Stack {
    Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The sensors of the readings in an answer's lines or list.
fn sensors(answer: &http::Answer, list: &str) -> Vec<String> {
    let sensor = |reading: &Value| reading["sensor_id"].as_str().unwrap().to_owned();
    if let Some(readings) = answer.json()[list].as_array() {
        return readings.iter().map(sensor).collect();
    }
    let lines = answer.body.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["data"].is_object()).map(|line| sensor(&line["data"])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_accepted_id_can_be_followed_on_every_interface() {
    let stack = stack().await;
    let (gateway, ingest) = (stack.gateways[0].public(), stack.ingest.public());
    let (mut all, ok) = client::subscribed(gateway, "{}").await;
    let start = ok.ok.unwrap().pos.unwrap();
    for id in IDS {
        let body = json!({ "sensor_id": id, "value": 1 }).to_string();
        assert_eq!(http::post(ingest, "/api/sensors/", &body).await.unwrap().status, 201, "{id}");
    }
    let last = json!(IDS[IDS.len() - 1]).to_string();
    client::messages_until(&mut all, |message| {
        message.data.as_ref().is_some_and(|data| data.get().contains(&last))
    })
    .await;
    for id in IDS {
        let pattern = Pattern::Exact(id.to_owned()).to_string();
        let body = json!({ "sensors": [pattern], "from": start.to_string() }).to_string();
        let (mut socket, _) = client::subscribed(gateway, &body).await;
        let messages = client::messages_until(&mut socket, |message| message.live.is_some()).await;
        let events: Vec<_> = messages.iter().filter_map(|message| message.data.as_ref()).collect();
        assert!(events.len() == 1 && events[0].get().contains(&json!(id).to_string()), "{id}: {events:?}");
        // in a list with another, as in queries
        let sensor = encoded(&format!("{pattern},none"));
        for (path, list) in [
            (format!("/api/changes?since={start}&sensor={sensor}"), ""),
            (format!("/api/readings?sensor={sensor}"), "readings"),
            (format!("/api/latest?sensor={sensor}"), "readings"),
        ] {
            let answer = http::get(gateway, &path).await.unwrap();
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            assert_eq!(sensors(&answer, list), [id], "{path}: {}", answer.body);
        }
        let one = http::get(gateway, &format!("/api/sensors/{}", encoded(id))).await.unwrap();
        assert_eq!(one.json()["sensor_id"], id, "{id}: {}", one.body);
        let list = http::get(ingest, &format!("/api/sensors/?sensor_id={}", encoded(id))).await.unwrap();
        assert_eq!((list.json()[0]["sensor_id"].as_str(), list.json()[1].is_null()), (Some(id), true));
        let mut stream =
            Peer::requesting(gateway, "GET", &format!("/sse/sensors/?from={start}&sensor={sensor}"))
                .await
                .unwrap();
        let events = stream.read_until("event: live").await.unwrap();
        assert_eq!(events.matches("data: {\"id\"").count(), 1, "{id}: {events}");
    }
}

async fn request(addr: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> http::Answer {
    http::send(addr, method, path, headers, b"{\"sensor_id\":\"a\",\"value\":1}").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_pages_may_neither_write_nor_read_and_listed_ones_may() {
    let env = [
        ("ingest:ROWCAST_INGEST__ORIGINS", "https://dash.example.org"),
        ("ws-gateway:ROWCAST_GATEWAY__ORIGINS", "https://dash.example.org"),
    ];
    let stack = Stack::start_with(Plan { gateways: 1, listeners: 1 }, &env).await.unwrap();
    let cases = [
        (stack.ingest.public(), "POST", "/api/sensors/", 201),
        (stack.ingest.public(), "GET", "/api/v1/sensors-readings/", 200),
        (stack.gateways[0].public(), "GET", "/api/readings", 200),
        (stack.gateways[0].public(), "GET", "/api/latest", 200),
        (stack.gateways[0].public(), "GET", "/api/changes", 200),
        (stack.gateways[0].public(), "GET", "/openapi.json", 200),
    ];
    for (addr, method, path, status) in cases {
        for origin in ["https://evil.example.org", "null", "chrome-extension://x", "javascript://rowcast"] {
            let refused = request(addr, method, path, &[("origin", origin)]).await;
            assert_eq!(refused.status, 403, "{path} {origin}");
        }
        let listed = ("origin", "https://dash.example.org");
        let two = request(addr, method, path, &[listed, listed]).await;
        assert_eq!(two.status, 403, "{path}");
        let answer = request(addr, method, path, &[listed]).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://dash.example.org"), "{path}");
        let preflight = [listed, ("access-control-request-method", method)];
        let permitted = request(addr, "OPTIONS", path, &preflight).await;
        assert_eq!(permitted.status, 204, "{path}");
        assert!(permitted.header("access-control-allow-methods").unwrap().contains(method), "{path}");
        assert_eq!(
            request(addr, method, path, &[("origin", "http://rowcast")]).await.status,
            status,
            "its own host"
        );
    }
    let stored = stack.psql("select count(*) from sensor_readings");
    assert_eq!(stored, "2", "by the listed page and by its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_path_is_404_and_a_wrong_method_is_405() {
    let stack = stack().await;
    let (ingest, gateway) = (stack.ingest.public(), stack.gateways[0].public());
    for (addr, method, path, status) in [
        (ingest, "DELETE", "/nothing", 404),
        (gateway, "POST", "/nothing", 404),
        (gateway, "POST", "/assets/nothing.js", 404),
        (ingest, "DELETE", "/api/sensors/", 405),
        (gateway, "POST", "/api/readings", 405),
        (gateway, "PUT", "/sse/sensors/", 405),
    ] {
        let answer = request(addr, method, path, &[]).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unacceptable_body_is_refused_before_it_is_sent() {
    let stack = stack().await;
    let head = "POST /api/sensors/ HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    for (rest, status) in [
        ("expect: 100-continue\r\ncontent-length: 104857600\r\n\r\n", "413"),
        ("content-length: 104857600\r\n\r\n", "413"),
        ("expect: 100-continue\r\ncontent-length: 10\r\norigin: https://evil.org\r\n\r\n", "403"),
        ("expect: 100-continue\r\ncontent-length: 10\r\ncontent-encoding: br\r\n\r\n", "415"),
        ("expect: 100-continue\r\ncontent-length: 10\r\n\r\n", "100"),
    ] {
        let mut peer =
            Peer::sending(stack.ingest.public(), format!("{head}{rest}").as_bytes()).await.unwrap();
        let answer = peer.read_head().await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{rest}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_media_type_is_answered_with_the_supported_ones() {
    let stack = stack().await;
    for (name, value, code, accepted) in [
        ("content-encoding", "deflate", "unsupported-content-coding", Some("gzip, zstd")),
        ("content-encoding", "br", "unsupported-content-coding", Some("gzip, zstd")),
        ("content-type", "application/json; charset=iso-8859-1", "unsupported-media-type", None),
        ("content-type", "text/plain", "unsupported-media-type", None),
    ] {
        let answer = request(stack.ingest.public(), "POST", "/api/sensors/", &[(name, value)]).await;
        assert_eq!(answer.status, 415, "{value}");
        assert_eq!(answer.json()["type"], format!("urn:rowcast:problem:{code}"), "{value}");
        assert_eq!(answer.header("accept-encoding"), accepted, "{value}");
    }
    let empty = request(stack.ingest.public(), "POST", "/api/sensors/", &[("content-encoding", "")]).await;
    assert_eq!(empty.status, 201, "{}", empty.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_complete_handshake_becomes_a_socket() {
    let stack = stack().await;
    let gateway = stack.gateways[0].public();
    let whole = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let with = |name: &'static str, value: &'static str| {
        whole.map(|header| if header.0 == name { (name, value) } else { header })
    };
    for (method, version, headers, status) in [
        ("GET", "HTTP/1.1", whole, 101),
        ("HEAD", "HTTP/1.1", whole, 426),
        ("GET", "HTTP/1.0", whole, 426),
        ("GET", "HTTP/1.1", with("connection", "close"), 426),
        ("GET", "HTTP/1.1", with("sec-websocket-version", "8"), 426),
        ("GET", "HTTP/1.1", with("sec-websocket-key", "aaaaaaaaaaaaaaaaaaaaaaaa"), 400),
        ("GET", "HTTP/1.1", with("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZ!=="), 400),
        ("GET", "HTTP/1.1", with("sec-websocket-key", ""), 400),
    ] {
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!("{method} /ws/sensors/ {version}\r\nhost: x\r\n{lines}\r\n");
        let answer = Peer::sending(gateway, request.as_bytes()).await.unwrap().read_head().await.unwrap();
        assert_eq!(answer.split(' ').nth(1), Some(status.to_string().as_str()), "{request}{answer}");
        if status == 426 {
            assert!(
                answer.contains("sec-websocket-version: 13") && answer.contains("upgrade: websocket"),
                "{answer}"
            );
        }
    }
}
