//! The limits of a gateway, and its refusals beyond them.

use std::time::Duration;

use e2e::{
    Plan, Stack,
    client::{self, messages_until, send, subscribed},
    http,
};
use testkit::wait_for;

async fn stack(env: &[(&str, &str)]) -> Stack {
    Stack::start_with(Plan { gateways: 1, listeners: 1 }, env).await.unwrap()
}

/// The status of a handshake.
async fn handshake(stack: &Stack, headers: &[(&str, &str)]) -> http::Answer {
    let mut all = vec![
        ("connection", "upgrade, close"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    all.extend(headers);
    http::send(stack.gateways[0].public(), "GET", "/ws/sensors/", &all, b"").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_gateway_refuses_before_the_upgrade_and_is_not_ready() {
    let stack = stack(&[("ws-gateway:ROWCAST_LIMITS__CONNECTIONS", "3")]).await;
    let gateway = stack.gateways[0].public();
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(subscribed(gateway, "{}").await);
    }
    let refused = handshake(&stack, &[]).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("2")), "{}", refused.body);
    assert_eq!(http::get(gateway, "/sse/sensors/").await.unwrap().status, 503);
    stack.gateways[0].await_unready().await;
    drop(clients);
    stack.gateways[0].await_ready().await;
    subscribed(gateway, "{}").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_its_own_limit() {
    let stack = stack(&[("ws-gateway:ROWCAST_LIMITS__CONNECTIONS_PER_ADDRESS", "1")]).await;
    let _one = subscribed(stack.gateways[0].public(), "{}").await;
    let refused = handshake(&stack, &[]).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_origin_is_refused_before_the_upgrade() {
    let stack = stack(&[("ws-gateway:ROWCAST_GATEWAY__ORIGINS", "https://dash.example.org")]).await;
    for (origin, status) in [
        ("https://evil.example.org", 403),
        ("null", 403),
        ("http://dash.example.org", 403),
        ("https://dash.example.org", 101),
        ("http://rowcast", 101),
    ] {
        // an upgraded socket has no end of an answer
        let headers = [("origin", origin)];
        let answer = tokio::time::timeout(Duration::from_secs(3), handshake(&stack, &headers));
        let got = answer.await.map_or(101, |answer| answer.status);
        assert_eq!(got, status, "{origin}");
    }
    let headers = [("origin", "https://evil.example.org")];
    let stream = http::send(stack.gateways[0].public(), "GET", "/sse/sensors/", &headers, b"").await.unwrap();
    assert_eq!(stream.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_commands_subscriptions_and_patterns_are_answered() {
    let stack = stack(&[
        ("ws-gateway:ROWCAST_LIMITS__COMMANDS_PER_S", "1"),
        ("ws-gateway:ROWCAST_LIMITS__SUBSCRIPTIONS", "2"),
        ("ws-gateway:ROWCAST_LIMITS__PATTERNS", "2"),
    ])
    .await;
    let (mut socket, _) = subscribed(stack.gateways[0].public(), "{}").await;
    for (command, code) in [
        (r#"{"id":2,"subscribe":{"sensors":["a","b","c"]}}"#, "too-many-patterns"),
        (r#"{"id":3,"subscribe":{}}"#, ""),
        (r#"{"id":4,"subscribe":{}}"#, "too-many-subscriptions"),
    ] {
        send(&mut socket, command).await;
        let answer = messages_until(&mut socket, |message| message.id.is_some()).await.remove(0);
        assert_eq!(answer.error.map(|error| error.code).unwrap_or_default(), code, "{command}");
    }
    for _ in 0..20 {
        // the connection may be closed before the last of them
        let _ = futures_util::SinkExt::send(
            &mut socket,
            tokio_tungstenite::tungstenite::Message::text(r#"{"ping":{}}"#),
        )
        .await;
    }
    let ended = async {
        loop {
            if let Err(error) = client::next_messages(&mut socket).await {
                return error.to_string();
            }
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(20), ended).await.expect("the connection is ended");
    assert!(ended.contains("4429"), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_connection_is_closed_for_its_age_and_resumes() {
    let stack = stack(&[("ws-gateway:ROWCAST_GATEWAY__MAX_CONNECTION_AGE", "10s")]).await;
    let (mut socket, _) = subscribed(stack.gateways[0].public(), "{}").await;
    let last = messages_until(&mut socket, |message| message.bye.is_some()).await;
    let bye = last.last().unwrap().bye.clone().unwrap();
    assert_eq!((bye.code, bye.resume, bye.after_ms.is_some()), (1001, true, true));
    wait_for("its place to be free", Duration::from_secs(5), async || {
        let open = stack.gateways[0].metric("rowcast_gateway_sessions").await.unwrap();
        if open == 0.0 { Ok(()) } else { Err(open) }
    })
    .await;
}
