//! The rates of a key: what is told is true.

use std::time::Duration;

use e2e::{Plan, Stack, client, http};
use serde_json::json;
use testkit::wait_for;

use super::credentials::{await_known, key};

async fn post(stack: &Stack, key: &str, readings: usize) -> http::Answer {
    post_with(stack, ("x-api-key", key), readings).await
}

async fn post_with(stack: &Stack, header: (&str, &str), readings: usize) -> http::Answer {
    let readings: Vec<_> = (0..readings).map(|n| json!({ "sensor_id": "a", "value": n })).collect();
    let body = json!(readings).to_string();
    let headers = [header, ("content-type", "application/json")];
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

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_rates_where_nobody_has_a_key() {
    let env = [
        ("ingest:ROWCAST_HTTP__TRUSTED_PROXIES", "127.0.0.0/8"),
        ("ingest:ROWCAST_LIMITS__REQUESTS_PER_ADDRESS", "1/m burst 5"),
        ("ingest:ROWCAST_LIMITS__READINGS_PER_ADDRESS", "1/s burst 3"),
    ];
    let stack = Stack::start_with(Plan { gateways: 0, listeners: 0 }, &env).await.unwrap();
    let from = async |address, readings| post_with(&stack, ("x-forwarded-for", address), readings).await;

    let first = from("192.0.2.1", 3).await;
    assert_eq!(first.status, 201, "{}", first.body);
    assert_eq!(first.header("ratelimit-policy"), Some(r#""requests";q=5;w=300, "readings";q=3;w=3"#));
    let refused = from("192.0.2.1", 1).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")), "{}", refused.body);
    assert_eq!(from("192.0.2.1", 4).await.status, 413);
    assert_eq!(from("192.0.2.2", 3).await.status, 201, "another address");
    assert_eq!(from("2001:db8:0:1::1", 3).await.status, 201);
    assert_eq!(from("2001:db8:0:1:ffff::2", 1).await.status, 429, "the same /64");
    // what the answer says is what is tested
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(from("192.0.2.1", 1).await.status, 201);
    let last = from("192.0.2.1", 4).await;
    assert!(last.header("ratelimit").unwrap().starts_with(r#""requests";r=0;"#), "{}", last.head);
    let refused = from("192.0.2.1", 1).await;
    let retry_after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(refused.status == 429 && (2..=60).contains(&retry_after), "{}", refused.head);
    assert_eq!(stack.psql("select count(*) from sensor_readings"), "10");
    let denials = stack.ingest.metric(r#"rowcast_auth_denials_total{cause="rate"}"#).await.unwrap();
    assert_eq!(denials, 5.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_no_proxy_may_tell_is_the_peer_s_and_a_key_has_its_own_rates() {
    let env = [
        ("ingest:ROWCAST_AUTH__ENABLED", "true"),
        ("ingest:ROWCAST_AUTH__ANONYMOUS_WRITE", "a"),
        ("ingest:ROWCAST_LIMITS__REQUESTS_PER_ADDRESS", "1/m burst 1"),
    ];
    let stack = Stack::start_with(Plan { gateways: 0, listeners: 0 }, &env).await.unwrap();
    assert_eq!(post_with(&stack, ("x-forwarded-for", "192.0.2.1"), 1).await.status, 201);
    assert_eq!(post_with(&stack, ("x-forwarded-for", "192.0.2.2"), 1).await.status, 429);
    let free = key(&stack, &["--write", "a"]);
    wait_for("the key is known", Duration::from_secs(5), async || {
        let answer = post(&stack, &free, 1).await;
        if answer.status == 201 { Ok(()) } else { Err(answer.status) }
    })
    .await;
    for _ in 0..3 {
        let answer = post(&stack, &free, 1).await;
        assert_eq!((answer.status, answer.header("ratelimit")), (201, None));
    }
}

/// A v1 socket whose client says who it is; the code of its close, or none if it may stay.
async fn connect(stack: &Stack, key: &str) -> Result<client::Socket, u16> {
    let mut socket = client::connect_v1(stack.gateways[0].public()).await.unwrap();
    client::send(&mut socket, &json!({ "id": 1, "auth": { "token": key } }).to_string()).await;
    let said = client::messages_until(&mut socket, |said| said.auth.is_some() || said.bye.is_some()).await;
    match said.last().and_then(|said| said.bye.as_ref()) {
        Some(bye) => Err(bye.code),
        None => Ok(socket),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_and_subscriptions_of_a_key_are_bounded_together() {
    let env = [("ingest:ROWCAST_AUTH__ENABLED", "true"), ("ws-gateway:ROWCAST_AUTH__ENABLED", "true")];
    let stack = Stack::start_with(Plan { gateways: 1, listeners: 1 }, &env).await.unwrap();
    let limited = key(&stack, &["--read", "*", "--connections", "2", "--subscriptions", "2"]);
    let free = key(&stack, &["--write", "a"]);
    await_known(&stack, &free).await;

    let (mut one, mut two) =
        (connect(&stack, &limited).await.unwrap(), connect(&stack, &limited).await.unwrap());
    assert_eq!(connect(&stack, &limited).await.err(), Some(4429));
    let header = [("x-api-key", limited.as_str())];
    let polled = http::send(stack.gateways[0].public(), "GET", "/api/changes", &header, b"").await.unwrap();
    assert_eq!((polled.status, polled.header("retry-after")), (429, Some("2")));
    let outcome = async |socket: &mut client::Socket, id: u64| {
        client::send(socket, &json!({ "id": id, "subscribe": {} }).to_string()).await;
        let said = client::messages_until(socket, |said| said.id == Some(id)).await;
        said.last().and_then(|said| said.error.clone()).map(|error| error.code)
    };
    assert_eq!(outcome(&mut one, 2).await, None);
    assert_eq!(outcome(&mut two, 2).await, None);
    assert_eq!(outcome(&mut two, 3).await.as_deref(), Some("too-many-subscriptions"));
    client::send(&mut one, r#"{"id":3,"unsubscribe":{"sub":1}}"#).await;
    client::messages_until(&mut one, |said| said.id == Some(3)).await;
    assert_eq!(outcome(&mut two, 4).await, None);
    drop(one);
    wait_for("the place is given back", Duration::from_secs(5), async || {
        connect(&stack, &limited).await.map(drop)
    })
    .await;
}
