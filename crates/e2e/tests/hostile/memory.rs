//! What a gateway stores for clients: patterns, and incomplete messages.

use std::{net::SocketAddr, time::Duration};

use e2e::{client, http};
use testkit::{
    cost,
    hostile::{Peer, TEXT, frame},
};
use wire::ServerMessage;

use crate::site::Site;

/// A subscription with this many patterns that no other client has.
fn patterns(name: &str, count: usize) -> String {
    let patterns: Vec<_> = (0..count).map(|number| format!(r#""{name}-{number}""#)).collect();
    format!(r#"{{"sensors":[{}]}}"#, patterns.join(","))
}

async fn refused(gateway: SocketAddr, body: &str) -> (client::Socket, ServerMessage) {
    let (socket, first) = client::subscribed(gateway, body).await;
    let error = first.error.as_ref().expect("it is refused");
    assert_eq!((error.code.as_str(), error.retry), ("busy", true), "{error:?}");
    (socket, first)
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_have_one_limit_for_all_clients_and_are_released() {
    // for some 240 patterns
    let site = Site::start(&[("ws-gateway:ROWCAST_LIMITS__PATTERN_BYTES", "100000")]).await;
    let gateway = site.gateway().public();
    let (mut first, ok) = client::subscribed(gateway, &patterns("a", 200)).await;
    let sub = ok.ok.unwrap().sub;
    let (mut second, _) = refused(gateway, &patterns("b", 200)).await;
    // the same with the other protocols
    let sensors: Vec<_> = (0..200).map(|number| format!("c-{number}")).collect();
    let query = format!("sensor={}", sensors.join(","));
    let head = http::get(gateway, "/api/changes").await.unwrap();
    let next = head.json()["next"].as_str().unwrap().to_owned();
    let pulled = http::get(gateway, &format!("/api/changes?{query}&since={next}&wait=50s")).await.unwrap();
    assert!(pulled.status == 503 && pulled.body.contains("pattern memory is full"), "{pulled:?}");
    let mut stream = Peer::requesting(gateway, "GET", &format!("/sse/sensors/?{query}")).await.unwrap();
    let received = stream.read_until_closed(Duration::from_secs(10)).await.expect("the stream ends");
    assert!(String::from_utf8_lossy(&received).contains("1013"), "{}", String::from_utf8_lossy(&received));
    // a subscription to everything has no pattern
    client::send(&mut second, r#"{"id":2,"subscribe":{}}"#).await;
    assert!(client::next_messages(&mut second).await.unwrap()[0].ok.is_some());
    client::send(&mut first, &format!(r#"{{"id":3,"unsubscribe":{{"sub":{sub}}}}}"#)).await;
    client::messages_until(&mut first, |message| message.id == Some(3)).await;
    client::send(&mut second, &format!(r#"{{"id":4,"subscribe":{}}}"#, patterns("b", 200))).await;
    let answers = client::messages_until(&mut second, |message| message.id == Some(4)).await;
    assert!(answers.iter().any(|message| message.id == Some(4) && message.ok.is_some()), "{answers:?}");
    // a disconnect releases them as well
    drop((first, second));
    site.sessions(0).await;
    assert!(client::subscribed(gateway, &patterns("d", 200)).await.1.ok.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn long_incomplete_messages_are_limited_and_end_at_their_deadline() {
    let site = Site::start(&[]).await;
    let gateway = site.gateway().public();
    let half = frame(TEXT, 60_000, &vec![b' '; 30_000]);
    let mut peers = Vec::new();
    for _ in 0..140 {
        let mut peer = Peer::socket(gateway, "/ws/sensors/?v=1").await.unwrap();
        peer.send(&half).await.unwrap();
        peers.push(peer);
    }
    let mut codes = Vec::new();
    for peer in &mut peers {
        let received = peer.read_until_closed(Duration::from_secs(30)).await.expect("its deadline ends it");
        let close = received.windows(4).rev().find(|window| window[0] == 0x88).expect("a close frame");
        codes.push(u16::from_be_bytes([close[2], close[3]]));
    }
    let of = |code: u16| codes.iter().filter(|found| **found == code).count();
    assert_eq!((of(1008), of(1013)), (128, 12), "{codes:?}");
    site.sessions(0).await;
    site.serves().await;
    // the limit is free again, and a complete long message is processed
    let (mut socket, _) = client::subscribed(gateway, "{}").await;
    client::send(&mut socket, &format!(r#"{{"id":2,"ping":{{}}{}}}"#, " ".repeat(60_000))).await;
    client::messages_until(&mut socket, |message| message.pong.is_some()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_take_about_the_memory_that_is_counted_for_them() {
    let site = Site::start(&[]).await;
    let (gateway, pid) = (site.gateway().public(), site.gateway().process.id());
    let before = cost::resident(pid).unwrap();
    let mut sockets = Vec::new();
    let mut number = 0;
    let is_full = async |socket: &mut client::Socket, number: usize| {
        let subscribe = patterns(&format!("pattern-{number}"), 250);
        client::send(socket, &format!(r#"{{"id":{number},"subscribe":{subscribe}}}"#)).await;
        let id = u64::try_from(number).ok();
        let answers = client::messages_until(socket, |message| message.id == id).await;
        answers.iter().any(|message| message.error.is_some())
    };
    'full: loop {
        let (mut socket, _) = client::subscribed(gateway, "{}").await;
        for _ in 0..60 {
            number += 1;
            if is_full(&mut socket, number).await {
                break 'full;
            }
        }
        sockets.push(socket);
    }
    let held = cost::resident(pid).unwrap() - before;
    assert!((32 << 20..80 << 20).contains(&held), "{held} bytes for {} patterns", number * 250);
}
