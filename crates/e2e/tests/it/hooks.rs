//! Webhooks: what docs/WEBHOOKS.md shows, and what is refused.

use e2e::{Plan, Stack, http};
use serde_json::{Value, json};

const NONE: Plan = Plan { gateways: 0, listeners: 0 };

/// A sender's part of the page.
#[derive(Debug, Default)]
struct Sender {
    /// As variables.
    configuration: Vec<(String, String)>,
    name: String,
    /// The path and query of a GET.
    query: Option<String>,
    payload: String,
    signature: Option<(String, String)>,
    /// `sensor value` of each reading.
    stored: String,
}

/// The senders of the page: each begins with its configuration.
fn senders() -> Vec<Sender> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/WEBHOOKS.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut senders: Vec<Sender> = Vec::new();
    for block in page.split("\n```").skip(1).step_by(2) {
        let (kind, text) = block.split_once('\n').unwrap();
        if kind == "toml" {
            senders.push(configured(text));
        }
        let sender = senders.last_mut().expect("a configuration comes first");
        match kind {
            "json" => sender.payload = text.to_owned(),
            "http" => sender.query = text.strip_prefix("GET ").map(str::to_owned),
            "signature" => {
                sender.signature =
                    text.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
            }
            "text" => sender.stored = text.to_owned(),
            "toml" | "yaml" => {}
            other => panic!("an unknown block: {other}"),
        }
    }
    senders
}

/// What such lines say; texts and lists are written as in JSON.
fn configured(toml: &str) -> Sender {
    let (section, keys) = toml.split_once('\n').unwrap();
    let name = section.strip_prefix("[hooks.").and_then(|rest| rest.strip_suffix(']')).unwrap();
    let variable = |line: &str| {
        let (key, value) = line.split_once(" = ").unwrap();
        let value = match serde_json::from_str(value).unwrap() {
            Value::String(text) => text,
            Value::Array(items) => {
                items.iter().map(|item| item.as_str().unwrap()).collect::<Vec<_>>().join(",")
            }
            other => panic!("{other}"),
        };
        (format!("ingest:ROWCAST_HOOKS__{name}__{}", key.replace('.', "__")).to_uppercase(), value)
    };
    let configuration =
        keys.lines().map(variable).map(|(name, value)| (name.replace("INGEST:", "ingest:"), value));
    Sender { configuration: configuration.collect(), name: name.to_owned(), ..Sender::default() }
}

async fn send(stack: &Stack, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
    let answer = http::send(stack.ingest.public(), method, path, headers, body.as_bytes()).await.unwrap();
    (answer.status, if answer.body.is_empty() { Value::Null } else { answer.json() })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sender_of_the_page_is_stored_as_it_says() {
    let senders = senders();
    assert_eq!(senders.len(), 5, "{senders:#?}");
    let env: Vec<_> = senders.iter().flat_map(|sender| &sender.configuration).collect();
    let env: Vec<_> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let stack = Stack::start_with(NONE, &env).await.unwrap();
    for sender in &senders {
        stack.psql("delete from sensor_readings");
        let headers: Vec<_> =
            sender.signature.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer = match &sender.query {
            Some(path) => send(&stack, "GET", path, &[], "").await,
            None => send(&stack, "POST", &format!("/hooks/{}", sender.name), &headers, &sender.payload).await,
        };
        assert_eq!(answer, (204, Value::Null), "{}", sender.name);
        let stored = stack.psql("select sensor_id || ' ' || value from sensor_readings order by id");
        assert_eq!(stored, sender.stored, "{}", sender.name);
    }
    assert_metadata_and_time(&stack, &senders).await;
}

/// Of those that have them.
async fn assert_metadata_and_time(stack: &Stack, senders: &[Sender]) {
    for (name, metadata, time) in [
        (
            "ttn",
            json!({"application": "acme-farm", "dev_eui": "70B3D57ED0051234", "f_port": 2, "f_cnt": 1834, "rssi": -68, "snr": 9.2}),
            "07:30:00.273104",
        ),
        ("shelly_rpc", json!({}), "07:30:00.250000"),
        ("home", json!({"name": "Hall", "unit": "°C", "class": "temperature"}), "07:30:00.250418"),
    ] {
        stack.psql("delete from sensor_readings");
        let sender = senders.iter().find(|sender| sender.name == name).unwrap();
        let (status, _) = send(stack, "POST", &format!("/hooks/{name}"), &[], &sender.payload).await;
        assert_eq!(status, 204);
        let columns = r#"metadata, to_char("timestamp" at time zone 'UTC', 'HH24:MI:SS.US')"#;
        let stored = stack.psql(&format!("select distinct {columns} from sensor_readings"));
        let (stored, at) = stored.split_once('|').unwrap();
        assert_eq!((serde_json::from_str::<Value>(stored).unwrap(), at), (metadata, time), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hook_does_not_take_is_refused_and_nothing_is_stored() {
    let stack = Stack::start_with(
        NONE,
        &[
            ("ingest:ROWCAST_HOOKS__HOME__PRESET", "home-assistant"),
            ("ingest:ROWCAST_HOOKS__HT__PRESET", "shelly"),
            ("ingest:ROWCAST_HOOKS__SIGNED__SENSOR", "a"),
            ("ingest:ROWCAST_HOOKS__SIGNED__VALUE", "/v"),
            ("ingest:ROWCAST_HOOKS__SIGNED__SIGNATURE__HEADER", "X-Signature"),
            ("ingest:ROWCAST_HOOKS__SIGNED__SIGNATURE__SECRET", "planted-4f1d"),
        ],
    )
    .await
    .unwrap();
    let ht = "/hooks/ht?id=a&temp=1";
    let large = format!(r#"{{"entity_id":"{}"}}"#, "a".repeat(70_000));
    for (method, path, headers, body, status, code) in [
        ("POST", "/hooks/none", &[][..], "{}", 404, "not-found"),
        ("GET", "/hooks/none?id=a", &[], "", 404, "not-found"),
        ("POST", "/hooks/%ff", &[], "{}", 404, "not-found"),
        ("GET", "/hooks/home?entity_id=a&state=1", &[], "", 405, "method-not-allowed"),
        ("PUT", "/hooks/home", &[], "{}", 405, "method-not-allowed"),
        ("GET", ht, &[("sec-fetch-site", "cross-site")], "", 403, "foreign-origin"),
        ("GET", ht, &[("origin", "https://evil.example")], "", 403, "foreign-origin"),
        ("POST", "/hooks/home", &[("origin", "https://evil.example")], "{}", 403, "foreign-origin"),
        ("POST", "/hooks/home", &[], r#"{"entity_id":"a","state":"1"}"#, 400, "malformed-reading"),
        ("POST", "/hooks/home", &[], &large, 413, "too-large"),
        ("POST", "/hooks/signed", &[], r#"{"v":1}"#, 403, "bad-signature"),
        ("POST", "/hooks/signed", &[("x-signature", "00")], "no JSON", 403, "bad-signature"),
        ("POST", "/hooks/signed", &[("content-encoding", "gzip")], "", 415, "unsupported-content-coding"),
    ] {
        let (answered, problem) = send(&stack, method, path, headers, body).await;
        let expected = format!("urn:rowcast:problem:{code}");
        assert_eq!(
            (answered, problem["type"].as_str()),
            (status, Some(expected.as_str())),
            "{method} {path}"
        );
    }
    // HEAD is a GET without an answer's body, and must not store anything either
    assert_eq!(send(&stack, "HEAD", ht, &[], "").await.0, 405);
    let (_, problem) = send(&stack, "POST", "/hooks/home", &[], r#"{"entity_id":"a","state":"heat"}"#).await;
    let pointers: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
    assert_eq!(pointers, ["/state", "/last_updated"], "{problem}");
    assert_eq!(stack.psql("select count(*) from sensor_readings"), "0");

    let unavailable = r#"{"entity_id":"a","state":"unavailable","last_updated":"2026-11-23T07:30:00+00:00"}"#;
    assert_eq!(send(&stack, "POST", "/hooks/home", &[], unavailable).await.0, 204);
    assert_eq!(stack.psql("select count(*) from sensor_readings"), "0");
    assert_eq!(send(&stack, "GET", ht, &[("sec-fetch-site", "none")], "").await.0, 204);
    assert_eq!(stack.psql("select sensor_id || value from sensor_readings"), "a/temp1");
    assert!(!stack.ingest.process.output().contains("planted-4f1d"));
}
