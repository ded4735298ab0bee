//! Clients behind real proxies are told apart by their own addresses.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use e2e::{Plan, Stack};
use testkit::{
    HaProxy, Nginx,
    hostile::{Peer, handshake},
    wait_for,
};

/// Where the proxy is, as the gateway sees it.
const TRUSTED: (&str, &str) = ("ws-gateway:ROWCAST_HTTP__TRUSTED_PROXIES", "10.0.0.0/8,127.0.0.1");

const ONE_EACH: (&str, &str) = ("ws-gateway:ROWCAST_LIMITS__CONNECTIONS_PER_ADDRESS", "1");

async fn stack(env: &[(&str, &str)]) -> Stack {
    Stack::start_with(Plan { gateways: 1, listeners: 1 }, env).await.unwrap()
}

/// A client of the host's address 127.0.0.`last`.
struct Arrived {
    status: String,
    _peer: Peer,
}

/// Opens a WebSocket from there, with these lines of headers.
async fn arrive(last: u8, proxy: SocketAddr, lines: &str) -> Arrived {
    let mut peer = Peer::connect_from(IpAddr::from([127, 0, 0, last]), proxy).await.unwrap();
    peer.send(handshake("/ws/sensors/", lines).as_bytes()).await.unwrap();
    let head = peer.read_head().await.unwrap();
    Arrived { status: head.split(' ').nth(1).unwrap().to_owned(), _peer: peer }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_behind_nginx_are_counted_by_their_own_addresses() {
    let stack = stack(&[TRUSTED, ONE_EACH]).await;
    let nginx = Nginx::start(stack.ingest.public(), &[stack.gateways[0].public()]).unwrap();
    let first = arrive(2, nginx.addr(), "").await;
    assert_eq!(first.status, "101");
    assert_eq!(arrive(2, nginx.addr(), "").await.status, "429");
    // what a client claims stands before what nginx adds
    for claim in ["x-forwarded-for: 198.51.100.1", "x-forwarded-for: 198.51.100.1, 10.1.1.1"] {
        assert_eq!(arrive(2, nginx.addr(), &format!("{claim}\r\n")).await.status, "429", "{claim}");
    }
    let second = arrive(3, nginx.addr(), "").await;
    assert_eq!(second.status, "101", "another client");
    drop(first);
    wait_for("the first client's place", Duration::from_secs(10), async || {
        match arrive(2, nginx.addr(), "").await.status {
            status if status == "101" => Ok(()),
            status => Err(status),
        }
    })
    .await;
}

/// nginx passes on a `Forwarded` as the client sent it.
#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_the_proxy_does_not_set_gives_nobody_another_address() {
    let stack = stack(&[TRUSTED, ONE_EACH]).await;
    let nginx = Nginx::start(stack.ingest.public(), &[stack.gateways[0].public()]).unwrap();
    let claim = |n: u8| format!("forwarded: for=198.51.100.{n}\r\n");
    let one = arrive(2, nginx.addr(), &claim(1)).await;
    assert_eq!(one.status, "101", "as nginx's own address");
    assert_eq!(arrive(2, nginx.addr(), &claim(2)).await.status, "429");
    assert_eq!(arrive(3, nginx.addr(), &claim(3)).await.status, "429");
    let own = arrive(2, nginx.addr(), "forwarded: for=127.0.0.2\r\n").await;
    assert_eq!(own.status, "101", "the same in both headers");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_behind_haproxy_are_counted_by_their_own_addresses() {
    let stack = stack(&[TRUSTED, ONE_EACH, ("ws-gateway:ROWCAST_HTTP__PROXY_PROTOCOL", "true")]).await;
    let gateway = &stack.gateways[0];
    let haproxy = HaProxy::start(gateway.public()).unwrap();
    let first = arrive(2, haproxy.addr(), "").await;
    assert_eq!(first.status, "101");
    assert_eq!(arrive(2, haproxy.addr(), "").await.status, "429");
    assert_eq!(arrive(2, haproxy.addr(), "x-forwarded-for: 198.51.100.1\r\n").await.status, "429");
    let second = arrive(3, haproxy.addr(), "").await;
    assert_eq!(second.status, "101", "another client");
    wait_for("health checks", Duration::from_secs(20), async || {
        let count =
            r#"rowcast_http_request_duration_seconds_count{method="GET",route="/openapi.json",status="200"}"#;
        match gateway.metric(count).await {
            Ok(2.0..) => Ok(()),
            counted => Err(counted.map_err(|error| error.to_string())),
        }
    })
    .await;
    let rejected = r#"rowcast_http_connections_rejected_total{reason="proxy_header"}"#;
    assert_eq!(gateway.metric(rejected).await.unwrap(), 0.0);
    let mut direct = Peer::requesting(gateway.public(), "GET", "/openapi.json").await.unwrap();
    assert_eq!(direct.read_to_end(Duration::from_secs(5)).await, Some(0), "nobody passes it by");
    assert_eq!(gateway.metric(rejected).await.unwrap(), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_trusted_proxies_the_peer_is_the_client() {
    let stack = stack(&[ONE_EACH]).await;
    let gateway = stack.gateways[0].public();
    let claim = |n: u8| format!("x-forwarded-for: 198.51.100.{n}\r\n");
    let one = arrive(2, gateway, &claim(1)).await;
    assert_eq!(one.status, "101");
    assert_eq!(arrive(2, gateway, &claim(2)).await.status, "429");
    assert_eq!(arrive(3, gateway, &claim(2)).await.status, "101");
}
