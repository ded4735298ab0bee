//! The rates of a key: what is told is true.

use std::time::Duration;

use e2e::{Plan, Stack, http};
use serde_json::json;

use super::credentials::{await_known, key};

async fn post(stack: &Stack, key: &str, readings: usize) -> http::Answer {
    let readings: Vec<_> = (0..readings).map(|n| json!({ "sensor_id": "a", "value": n })).collect();
    let body = json!(readings).to_string();
    let headers = [("x-api-key", key), ("content-type", "application/json")];
    http::send(stack.ingest.public(), "POST", "/api/sensors/", &headers, body.as_bytes()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_as_long_as_a_429_says_is_served() {
    let env = [("ingest:ROWCAST_AUTH__ENABLED", "true"), ("ws-gateway:ROWCAST_AUTH__ENABLED", "true")];
    let stack = Stack::start_with(Plan { gateways: 1, listeners: 1 }, &env).await.unwrap();
    let limits = ["--write", "a", "--readings", "1/s", "--readings-burst", "3", "--requests", "1000/s"];
    let (limited, free) = (key(&stack, &limits), key(&stack, &["--write", "a"]));
    await_known(&stack, &free).await;

    let first = post(&stack, &limited, 3).await;
    assert_eq!(first.status, 201);
    assert_eq!(first.header("ratelimit-policy"), Some(r#""requests";q=1000;w=1, "readings";q=3;w=3"#));
    assert!(first.header("ratelimit").unwrap().contains(r#""readings";r=0;"#), "{}", first.head);
    let refused = post(&stack, &limited, 1).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    assert!(refused.header("ratelimit").unwrap().contains(r#""readings";r=0;"#), "{}", refused.head);
    let never = post(&stack, &limited, 4).await;
    assert_eq!((never.status, never.header("retry-after")), (413, None), "{}", never.body);
    let unlimited = post(&stack, &free, 100).await;
    assert_eq!((unlimited.status, unlimited.header("ratelimit")), (201, None));
    // what the answer says is what is tested
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(post(&stack, &limited, 1).await.status, 201);
    assert_eq!(stack.psql("select count(*) from sensor_readings"), "104");
}
