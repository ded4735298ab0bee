//! The behaviour of the demo that Rowcast keeps: each line of its tables, and each of its defects.

use e2e::{Plan, Stack, client, http};
use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

const PATHS: [&str; 4] =
    ["/api/sensors/", "/api/sensors", "/api/v1/sensors-readings/", "/api/v1/sensors-readings"];

async fn stack() -> Stack {
    Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap()
}

/// The demo's answer to a body, or ours where ours differs.
#[tokio::test(flavor = "multi_thread")]
async fn each_body_has_the_demo_s_answer_or_ours() {
    let stack = stack().await;
    let ingest = stack.ingest.public();
    let long = "x".repeat(101);
    let rows: Vec<(&str, String, u16, Value)> = vec![
        (
            "full",
            r#"{"sensor_id":"a","value":1.5,"metadata":{"u":"C"}}"#.into(),
            201,
            json!({"sensor_id":"a","value":1.5,"metadata":{"u":"C"}}),
        ),
        (
            "without metadata",
            r#"{"sensor_id":"a","value":1}"#.into(),
            201,
            json!({"value":1.0,"metadata":{}}),
        ),
        (
            "spaces around the id",
            r#"{"sensor_id":"  a b ","value":1}"#.into(),
            201,
            json!({"sensor_id":"a b"}),
        ),
        ("a number as id", r#"{"sensor_id":42,"value":1}"#.into(), 201, json!({"sensor_id":"42"})),
        ("a number as text", r#"{"sensor_id":"a","value":"12.25"}"#.into(), 201, json!({"value":12.25})),
        ("true as value", r#"{"sensor_id":"a","value":true}"#.into(), 400, json!({})),
        (
            "an array as metadata",
            r#"{"sensor_id":"a","value":1,"metadata":[1,"x"]}"#.into(),
            201,
            json!({"metadata":[1,"x"]}),
        ),
        (
            "a string as metadata",
            r#"{"sensor_id":"a","value":1,"metadata":"x"}"#.into(),
            201,
            json!({"metadata":"x"}),
        ),
        (
            "unknown keys and an id",
            r#"{"sensor_id":"a","value":1,"id":7777,"foo":{}}"#.into(),
            201,
            json!({"sensor_id":"a"}),
        ),
        (
            "a time",
            r#"{"sensor_id":"a","value":1,"timestamp":"2026-01-02T03:04:05.5+01:00"}"#.into(),
            201,
            json!({"timestamp":"2026-01-02T02:04:05.500000Z"}),
        ),
        ("nothing in it", "{}".into(), 400, json!({})),
        ("empty", String::new(), 400, json!({})),
        ("no value", r#"{"sensor_id":"a"}"#.into(), 400, json!({})),
        ("no id", r#"{"value":1}"#.into(), 400, json!({})),
        ("a blank id", r#"{"sensor_id":"  ","value":1}"#.into(), 400, json!({})),
        ("a null id", r#"{"sensor_id":null,"value":1}"#.into(), 400, json!({})),
        ("101 characters", format!(r#"{{"sensor_id":"{long}","value":1}}"#), 400, json!({})),
        ("NUL in the id", r#"{"sensor_id":"a\u0000","value":1}"#.into(), 400, json!({})),
        ("a null value", r#"{"sensor_id":"a","value":null}"#.into(), 400, json!({})),
        ("a word as value", r#"{"sensor_id":"a","value":"abc"}"#.into(), 400, json!({})),
        ("null metadata", r#"{"sensor_id":"a","value":1,"metadata":null}"#.into(), 400, json!({})),
        ("not JSON", "{sensor".into(), 400, json!({})),
        ("NaN", r#"{"sensor_id":"a","value":NaN}"#.into(), 400, json!({})),
        ("NaN as text", r#"{"sensor_id":"a","value":"NaN"}"#.into(), 400, json!({})),
        ("Infinity", r#"{"sensor_id":"a","value":Infinity}"#.into(), 400, json!({})),
        ("1e400", r#"{"sensor_id":"a","value":1e400}"#.into(), 400, json!({})),
        (
            "NUL in metadata",
            r#"{"sensor_id":"a","value":1,"metadata":{"x":"\u0000"}}"#.into(),
            400,
            json!({}),
        ),
    ];
    let mut stored = 0;
    for (name, body, status, fields) in &rows {
        for path in PATHS {
            let answer = http::post(ingest, path, body).await.unwrap();
            assert_eq!(answer.status, *status, "{name} at {path}: {}", answer.body);
            let object = answer.json();
            if *status == 201 {
                stored += 1;
                assert_eq!(answer.header("content-type"), Some("application/json"));
                let keys: Vec<&String> = object.as_object().unwrap().keys().collect();
                let demo = [
                    "created_at",
                    "id",
                    "message",
                    "metadata",
                    "sensor_id",
                    "success",
                    "timestamp",
                    "updated_at",
                    "value",
                ];
                assert_eq!(keys, demo, "{name}");
                assert_eq!(object["message"], "Sensor reading created successfully");
                assert_eq!(object["success"], true);
                for (field, value) in fields.as_object().unwrap() {
                    assert_eq!(&object[field], value, "{name}: {field}");
                }
                assert_ne!(object["id"], 7777, "the table's own id");
            } else {
                assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{name}");
                assert!(
                    object["error"].is_string() && object["errors"][0]["detail"].is_string(),
                    "{name}: {object}"
                );
            }
        }
    }
    assert_eq!(
        stack.psql("select count(*) from sensor_readings"),
        stored.to_string(),
        "a refusal stores nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_a_bare_array_newest_first_and_bounded() {
    let stack = stack().await;
    let ingest = stack.ingest.public();
    stack.psql(
        r#"insert into sensor_readings (sensor_id, value, "timestamp")
           select 's' || n % 2, n, timestamptz '2026-01-01' + n * interval '1 s' from generate_series(1, 1200) n"#,
    );
    for path in PATHS {
        let all = http::get(ingest, path).await.unwrap().json();
        let values: Vec<f64> = all.as_array().unwrap().iter().map(|r| r["value"].as_f64().unwrap()).collect();
        assert_eq!(values.len(), 100, "100 where the query does not say");
        assert!(values.is_sorted_by(|a, b| a > b) && values[0] == 1200.0, "newest first");
    }
    let list = async |query: &str| http::get(ingest, &format!("/api/sensors/{query}")).await.unwrap();
    let count = |answer: &http::Answer| answer.json().as_array().map(Vec::len);
    assert_eq!(list("?sensor_id=s1&limit=3").await.json()[2]["value"], 1195.0);
    assert_eq!(count(&list("?sensor_id=nobody").await), Some(0));
    assert_eq!(count(&list("?sensor_id=%00").await), Some(0));
    assert_eq!(count(&list("?limit=0").await), Some(0));
    assert_eq!(count(&list("?limit=5000").await), Some(1000), "over 1,000 is 1,000");
    for bad in ["?limit=abc", "?limit=-1", "?limit=1.5", "?limit="] {
        let answer = list(bad).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (400, Some("application/problem+json")),
            "{bad}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_methods_and_types_are_refused_as_the_demo_did() {
    let stack = stack().await;
    let ingest = stack.ingest.public();
    for method in ["PUT", "DELETE", "PATCH"] {
        let answer = http::send(ingest, method, "/api/sensors/", &[], b"").await.unwrap();
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD, POST")), "{method}");
    }
    for media in ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"] {
        let answer =
            http::send(ingest, "POST", "/api/sensors/", &[("content-type", media)], b"sensor_id=a&value=1")
                .await;
        assert_eq!(answer.unwrap().status, 415, "{media}");
    }
    assert_eq!(http::get(ingest, "/nothing").await.unwrap().status, 404);
}

/// A client as the demo's page is one: no subprotocol, no query, one frame a reading.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_written_for_the_demo_gets_the_demo_s_frames_to_the_byte() {
    let stack = stack().await;
    for path in ["/ws/sensors/", "/ws/sensor-readings/", "/ws/sensors", "/ws/sensor-readings"] {
        let mut socket = client::connect_demo(stack.gateways[0].public(), path).await.unwrap();
        // messages that clients may send, and that blanked other pages in the demo, are silently dropped
        socket.send(Message::text(r#"{"data":{"sensor_id":"junk"}}"#)).await.unwrap();
        let body = r#"{"sensor_id":"Küche","value":21,"metadata":{"unit": "°C", "list": [1, 2.50]}}"#;
        let stored = http::post(stack.ingest.public(), "/api/sensors/", body).await.unwrap().json();
        let frame = client::next_text(&mut socket).await.unwrap();
        let at = stored["created_at"].as_str().unwrap();
        let id = stored["id"].as_i64().unwrap();
        assert_eq!(
            frame,
            format!(
                r#"{{"data":{{"id":{id},"sensor_id":"Küche","value":21.0,"timestamp":"{at}","metadata":{{"list":[1,2.50],"unit":"°C"}},"created_at":"{at}","updated_at":"{at}"}}}}"#
            )
        );
        assert_eq!(at.len(), 27, "microseconds and Z: {at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_rows_of_one_transaction_arrive_in_their_order() {
    let stack = stack().await;
    let mut socket = client::connect_demo(stack.gateways[0].public(), "/ws/sensors/").await.unwrap();
    stack.psql("insert into sensor_readings (sensor_id, value) select 'a', n from generate_series(1, 20) n");
    for value in 1..=20 {
        let frame: Value = serde_json::from_str(&client::next_text(&mut socket).await.unwrap()).unwrap();
        assert_eq!(frame["data"]["value"], f64::from(value));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_eight_thousand_bytes_is_stored_and_delivered() {
    let stack = stack().await;
    let mut socket = client::connect_demo(stack.gateways[0].public(), "/ws/sensors/").await.unwrap();
    for size in [8_000, 60_000] {
        let body = format!(r#"{{"sensor_id":"a","value":1,"metadata":"{}"}}"#, "x".repeat(size));
        assert_eq!(http::post(stack.ingest.public(), "/api/sensors/", &body).await.unwrap().status, 201);
        assert!(client::next_text(&mut socket).await.unwrap().len() > size);
    }
}

/// The demo's last defect: no index but the primary key.
#[tokio::test(flavor = "multi_thread")]
async fn lists_are_read_by_index() {
    let stack = stack().await;
    stack.psql("insert into sensor_readings (sensor_id, value) select 's' || n % 2, n from generate_series(1, 50000) n; analyze sensor_readings");
    let today =
        stack.psql("select tableoid::regclass::text from sensor_readings limit 1").replace("rowcast.", "");
    for query in [
        r#"select * from sensor_readings where sensor_id = 's1' order by "timestamp" desc, id desc limit 100"#,
        r#"select * from sensor_readings order by "timestamp" desc, id desc limit 100"#,
    ] {
        let plan = stack.psql(&format!("explain {query}"));
        // the days without readings may be scanned
        assert!(plan.contains("Merge Append") && !plan.contains(&format!("Seq Scan on {today}")), "{plan}");
    }
}
