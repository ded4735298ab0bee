//! What devices already speak, at a real ingest.

use e2e::{Plan, Stack, http};
use serde_json::{Value, json};

async fn stack() -> Stack {
    Stack::start(Plan { gateways: 0, listeners: 0 }).await.unwrap()
}

async fn post(stack: &Stack, path: &str, body: &str) -> (u16, Value) {
    let answer = http::post(stack.ingest.public(), path, body).await.unwrap();
    (answer.status, if answer.body.is_empty() { Value::Null } else { answer.json() })
}

/// What is stored, a line each.
fn stored(stack: &Stack) -> String {
    let columns =
        r#"sensor_id, value, to_char("timestamp" at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), metadata"#;
    stack.psql(&format!("select {columns} from sensor_readings order by id"))
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_text_or_numbers_whose_size_or_precision_tells_what_they_count() {
    let stack = stack().await;
    for (path, timestamp) in [
        ("/api/sensors/", json!("2026-11-23T07:30:00.25Z")),
        ("/api/sensors/", json!(1_795_419_000.25)),
        ("/api/sensors/", json!(1_795_419_000_250_i64)),
        ("/api/sensors/?precision=us", json!(1_795_419_000_250_000_i64)),
        ("/api/sensors/?precision=ns", json!(1_795_419_000_250_000_000_i64)),
    ] {
        let body = json!({"sensor_id": "a", "value": 1, "timestamp": timestamp}).to_string();
        let (status, answer) = post(&stack, path, &body).await;
        assert_eq!((status, &answer["timestamp"]), (201, &json!("2026-11-23T07:30:00.250000Z")), "{body}");
    }
    let (status, answer) =
        post(&stack, "/api/sensors/?precision=days", r#"{"sensor_id":"a","value":1}"#).await;
    assert_eq!((status, &answer["type"]), (400, &json!("urn:rowcast:problem:bad-query")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_request_stores_what_is_valid_and_says_what_became_of_each() {
    let stack = stack().await;
    // the table refuses what is larger than a MiB once its numbers are written out
    let wide = format!("[{}]", vec!["1e300"; 4_000].join(","));
    let body = format!(
        r#"[{{"sensor_id":"a","value":1}},{{"sensor_id":"","value":"x"}},{{"sensor_id":"b","value":2,"metadata":{wide}}},{{"sensor_id":"c","value":3}}]"#
    );
    let (status, answer) = post(&stack, "/api/sensors/", &body).await;
    assert_eq!((status, stored(&stack).as_str()), (400, ""), "{answer}");
    let (status, answer) = post(&stack, "/api/sensors/?partial=1", &body).await;
    assert_eq!((status, &answer["success"]), (207, &json!(false)));
    let results = answer["results"].as_array().unwrap();
    let statuses: Vec<_> = results.iter().map(|result| result["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [201, 400, 400, 201], "{answer}");
    assert_eq!(results[1]["errors"][0]["pointer"], "/1/sensor_id");
    let ids = stack.psql("select string_agg(id || sensor_id, ',' order by id) from sensor_readings");
    assert_eq!(ids, format!("{}a,{}c", results[0]["id"], results[3]["id"]));
    let (status, answer) = post(&stack, "/api/sensors/?partial=1", r#"[{"sensor_id":"a","value":1}]"#).await;
    assert_eq!(
        (status, &answer["success"], &answer["message"]),
        (207, &json!(true), &json!("1 of 1 sensor readings created"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn line_protocol_is_taken_as_both_versions_of_influxdb_take_it() {
    let stack = stack().await;
    let lines = "weather,room=hall temperature=21.5,open=true,note=\"ok\" 1795419000250\n";
    let (status, _) = post(&stack, "/api/v2/write?org=o&bucket=b&precision=ms", lines).await;
    assert_eq!(status, 204);
    let metadata = r#"{"note": "ok", "room": "hall"}"#;
    let time = "2026-11-23 07:30:00.250000";
    let expected =
        format!("weather/hall/temperature|21.5|{time}|{metadata}\nweather/hall/open|1|{time}|{metadata}");
    assert_eq!(stored(&stack), expected);

    let (status, answer) = post(&stack, "/api/v2/write", "up value=1\nup value=\nup\n").await;
    assert_eq!((status, &answer["code"]), (400, &json!("invalid")));
    let message = answer["message"].as_str().unwrap();
    assert!(message.starts_with("partial write: line 2: ") && message.ends_with(" dropped=2"), "{message}");
    let answer =
        http::post(stack.ingest.public(), "/write?db=b&precision=s", "up value=2 1\nup\n").await.unwrap();
    assert_eq!(answer.status, 400);
    assert!(answer.json()["error"].as_str().unwrap().starts_with("partial write: line 2"), "{}", answer.body);
    assert_eq!(stack.psql("select sum(value) from sensor_readings where sensor_id = 'up/value'"), "3");

    let (status, answer) = post(&stack, "/write?precision=d", "up value=1").await;
    assert_eq!((status, &answer["error"]), (400, &json!("precision: must be ns, us, ms or s")));
    let too_many =
        format!("up {}\n", (0..1_001).map(|n| format!("f{n}=1")).collect::<Vec<_>>().join(",")).repeat(10);
    let (status, answer) = post(&stack, "/api/v2/write", &too_many).await;
    assert_eq!((status, &answer["code"]), (413, &json!("request too large")));

    assert_eq!(http::get(stack.ingest.public(), "/ping").await.unwrap().status, 204);
    assert_eq!(http::get(stack.ingest.public(), "/health").await.unwrap().json()["status"], "pass");
    let (status, _) = post(&stack, "/query?q=CREATE+DATABASE+%22b%22", "").await;
    assert_eq!(status, 200);
    let (status, _) = post(&stack, "/query?q=SELECT+1", "").await;
    assert_eq!(status, 400);
}
