//! The limits of a token's subject, and of an address without a credential.

use std::time::Duration;

use e2e::{Plan, Stack, client, http, tokens};
use jsonwebtoken::Algorithm;
use serde_json::json;
use testkit::wait_for;

/// A stack with these limits, and tokens of two subjects.
async fn stack(limits: &[(&str, &str)]) -> (Stack, [String; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let issuer = tokens::Issuer::new("https://login.example", "k1", Algorithm::ES256).unwrap();
    let file = tokens::write_issuers(folder.path(), &[&[&issuer]]).unwrap();
    let file = file.to_str().unwrap();
    let mut env =
        vec![("ws-gateway:ROWCAST_AUTH__ENABLED", "true"), ("ws-gateway:ROWCAST_AUTH__ISSUERS_FILE", file)];
    env.extend(limits);
    let stack = Stack::start_with(Plan { gateways: 1, listeners: 1 }, &env).await.unwrap();
    (stack, ["anna", "berta"].map(|subject| issuer.token(&issuer.claims(subject, &["*"]))))
}

async fn get(stack: &Stack, token: &str, path: &str) -> http::Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    http::send(stack.gateways[0].public(), "GET", path, &headers, b"").await.unwrap()
}

/// A v1 socket of this token's subject; the code of its close, or none if it may stay.
async fn connect(stack: &Stack, token: &str) -> Result<client::Socket, u16> {
    let mut socket = client::connect_v1(stack.gateways[0].public()).await.unwrap();
    client::send(&mut socket, &json!({ "id": 1, "auth": { "token": token } }).to_string()).await;
    let said = client::messages_until(&mut socket, |said| said.auth.is_some() || said.bye.is_some()).await;
    match said.last().and_then(|said| said.bye.as_ref()) {
        Some(bye) => Err(bye.code),
        None => Ok(socket),
    }
}

/// The code of a command's refusal, and in how many milliseconds it is admitted; nothing: it was done.
async fn refusal(socket: &mut client::Socket, id: u64, verb: &str) -> Option<(String, Option<u64>)> {
    client::send(socket, &format!(r#"{{"id":{id},{verb}}}"#)).await;
    let said = client::messages_until(socket, |said| said.id == Some(id)).await;
    said.last().and_then(|said| said.error.clone()).map(|error| (error.code, error.after_ms))
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_and_subscriptions_of_a_subject_are_bounded_together() {
    let (stack, [anna, berta]) = stack(&[
        ("ws-gateway:ROWCAST_LIMITS__CONNECTIONS_PER_SUBJECT", "2"),
        ("ws-gateway:ROWCAST_LIMITS__SUBSCRIPTIONS_PER_SUBJECT", "2"),
    ])
    .await;
    let (mut one, mut two) = (connect(&stack, &anna).await.unwrap(), connect(&stack, &anna).await.unwrap());
    assert_eq!(connect(&stack, &anna).await.err(), Some(4429));
    let polled = get(&stack, &anna, "/api/changes").await;
    assert_eq!((polled.status, polled.header("retry-after")), (429, Some("2")));
    connect(&stack, &berta).await.unwrap();
    let subscribe = r#""subscribe":{}"#;
    assert_eq!(refusal(&mut one, 2, subscribe).await, None);
    assert_eq!(refusal(&mut two, 2, subscribe).await, None);
    assert_eq!(refusal(&mut two, 3, subscribe).await.unwrap().0, "too-many-subscriptions");
    drop(one);
    wait_for("the place is given back", Duration::from_secs(5), async || {
        connect(&stack, &anna).await.map(drop)
    })
    .await;
    assert_eq!(refusal(&mut two, 4, subscribe).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_a_subject_are_counted_over_its_sockets() {
    let (stack, [anna, berta]) =
        stack(&[("ws-gateway:ROWCAST_LIMITS__COMMANDS_PER_SUBJECT", "1/s burst 4")]).await;
    let (mut one, mut two) = (connect(&stack, &anna).await.unwrap(), connect(&stack, &anna).await.unwrap());
    let mut other = connect(&stack, &berta).await.unwrap();
    let mut waits = Vec::new();
    for id in 2..12 {
        for socket in [&mut one, &mut two] {
            if let Some((code, after_ms)) = refusal(socket, id, r#""ping":{}"#).await {
                assert_eq!(code, "too-many-requests");
                waits.push(after_ms.unwrap());
            }
        }
    }
    assert!(!waits.is_empty() && waits.iter().all(|wait| *wait == 1_000), "{waits:?}");
    assert_eq!(refusal(&mut other, 2, r#""subscribe":{}"#).await, None, "another subject");
    let again = json!({ "token": anna });
    assert_eq!(refusal(&mut two, 20, &format!(r#""auth":{again}"#)).await, None, "a token can be renewed");
    // a new socket does not help
    drop(one);
    let mut three = connect(&stack, &anna).await.unwrap();
    while refusal(&mut three, 21, r#""ping":{}"#).await.is_none() {}
    // what the answer says is what is tested
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(refusal(&mut three, 22, r#""subscribe":{}"#).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn history_of_a_subject_is_counted_in_rows() {
    let (stack, [anna, berta]) =
        stack(&[("ws-gateway:ROWCAST_LIMITS__HISTORY_PER_SUBJECT", "100/s burst 10000")]).await;
    let first = get(&stack, &anna, "/api/readings?limit=1000").await;
    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(first.header("ratelimit-policy"), Some(r#""rows";q=10000;w=100"#));
    let mut socket = connect(&stack, &anna).await.unwrap();
    assert_eq!(refusal(&mut socket, 2, r#""subscribe":{"from":"latest"}"#).await, None);
    let mut refused = None;
    for _ in 0..20 {
        let answer = get(&stack, &anna, "/api/latest?limit=1000").await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("ten thousand rows are used up");
    let retry_after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(refused.status == 429 && (1..=10).contains(&retry_after), "{}", refused.head);
    assert!(refused.header("ratelimit").unwrap().starts_with(r#""rows";r="#), "{}", refused.head);
    assert_eq!(get(&stack, &anna, "/api/readings?limit=1000").await.status, 429);
    assert_eq!(get(&stack, &anna, "/sse/sensors/?from=latest").await.status, 429);
    assert_eq!(get(&stack, &berta, "/api/readings?limit=1000").await.status, 200);
    let (code, after_ms) = refusal(&mut socket, 3, r#""subscribe":{"from":"latest"}"#).await.unwrap();
    assert!(code == "too-many-requests" && (1_000..=10_000).contains(&after_ms.unwrap()), "{after_ms:?}");
    assert_eq!(refusal(&mut socket, 4, r#""subscribe":{}"#).await, None, "what comes now costs no history");
    // what the answer says is what is tested
    tokio::time::sleep(Duration::from_secs(retry_after)).await;
    assert_eq!(get(&stack, &anna, "/api/latest?limit=1000").await.status, 200);
    let denials = stack.gateways[0].metric(r#"rowcast_auth_denials_total{cause="rate"}"#).await.unwrap();
    assert_eq!(denials, 4.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn history_without_a_credential_is_counted_by_address() {
    let env = [
        ("ws-gateway:ROWCAST_HTTP__TRUSTED_PROXIES", "127.0.0.0/8"),
        ("ws-gateway:ROWCAST_LIMITS__HISTORY_PER_ADDRESS", "1/m burst 10000"),
    ];
    let stack = Stack::start_with(Plan { gateways: 1, listeners: 1 }, &env).await.unwrap();
    let from = async |address| {
        let headers = [("x-forwarded-for", address)];
        let path = "/api/readings?limit=1000";
        http::send(stack.gateways[0].public(), "GET", path, &headers, b"").await.unwrap().status
    };
    for _ in 0..10 {
        assert_eq!(from("192.0.2.1").await, 200);
    }
    assert_eq!(from("192.0.2.1").await, 429);
    assert_eq!(from("192.0.2.2").await, 200);
}
