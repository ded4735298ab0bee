//! What a port accepts, and where it listens.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::StatusCode;
use tokio::io::AsyncWriteExt;

use super::*;

#[tokio::test]
async fn a_connection_past_the_cap_is_503_until_a_permit_is_free() {
    let rig = Rig::start(hello(), 1, Limits::default()).await;
    let mut first = rig.connect().await;
    first.write_all(b"GET /hello/you HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    read_until(&mut first, "hello").await;
    let refused = rig.exchange("GET /hello/you HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_problem(&refused, StatusCode::SERVICE_UNAVAILABLE, "too-many-connections");
    assert!(refused.contains("retry-after: "), "{refused}");
    rig.wait_for_metric("rowcast_http_connections_refused_total 1").await;
    drop(first);
    rig.wait_for_metric("rowcast_http_connections_open 0").await;
    let served = rig.exchange("GET /hello/you HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(served.starts_with("HTTP/1.1 200"), "{served}");
}

#[tokio::test]
async fn large_heads_and_http2_connections_are_limited() {
    let limits = Limits { head: LONG * 6, ..Limits::default() };
    let large = format!("GET / HTTP/1.1\r\nHost: x\r\ncookie: {}", "c".repeat(9 << 10));
    for (received, expected) in
        [(large.as_str(), 1_024), ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", 64)]
    {
        let rig = Rig::start(hello(), 2_000, limits).await;
        let mut clients = Vec::new();
        for _ in 0..expected + 10 {
            let mut client = rig.connect().await;
            // the excess connection may be closed while it sends
            let _ = client.write_all(received.as_bytes()).await;
            clients.push(client);
        }
        rig.wait_for_metric(&format!("rowcast_http_connections_accepted_total {}", expected + 10)).await;
        rig.wait_for_metric(&format!("rowcast_http_connections_open {expected}")).await;
        drop(clients);
        rig.wait_for_metric("rowcast_http_connections_open 0").await;
        assert!(rig.exchange("GET /hello/x HTTP/1.0\r\n\r\n").await.ends_with("hello"));
    }
}

#[tokio::test]
async fn requests_are_counted_by_route_and_not_by_path() {
    let rig = Rig::plain().await;
    for path in ["/hello/you", "/hello/me", "/nowhere"] {
        rig.exchange(&format!("BREW {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
        rig.exchange(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
    }
    let name = "rowcast_http_request_duration_seconds_count";
    rig.wait_for_metric(&format!("{name}{{method=\"GET\",route=\"/hello/{{name}}\",status=\"200\"}} 2"))
        .await;
    rig.wait_for_metric(&format!("{name}{{method=\"other\",route=\"/hello/{{name}}\",status=\"405\"}} 2"))
        .await;
    rig.wait_for_metric(&format!("{name}{{method=\"GET\",route=\"unmatched\",status=\"404\"}} 1")).await;
}

#[tokio::test]
async fn the_unspecified_address_accepts_both_families() {
    let port = bind((Ipv6Addr::UNSPECIFIED, 0).into()).await.unwrap();
    let number = port.local_addr().unwrap().port();
    for peer in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
        let connect = tokio::net::TcpStream::connect((peer, number));
        let (connected, accepted) = tokio::join!(connect, port.accept());
        connected.unwrap();
        accepted.unwrap();
    }
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let taken = bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap().local_addr().unwrap();
    let held = bind(taken).await.unwrap();
    let fault = format!("{:#}", bind(held.local_addr().unwrap()).await.unwrap_err());
    assert!(fault.starts_with(&format!("the public port cannot listen on {taken}: ")), "{fault}");
}

#[test]
fn the_documented_defaults_are_those_of_the_code() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/CONFIGURATION.md");
    let page = std::fs::read_to_string(page).unwrap();
    let documented = |key: &str| {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{key}` |"))).unwrap();
        row.split('|').nth(3).unwrap().trim().trim_matches('`').to_owned()
    };
    let HttpConfig { addr, max_connections, idle_timeout, answer_bytes, .. } = HttpConfig::default();
    assert_eq!(documented("http.addr"), addr.to_string());
    assert_eq!(documented("http.max_connections"), max_connections.to_string());
    assert_eq!(documented("http.idle_timeout"), format!("{idle_timeout:?}"));
    assert_eq!(documented("http.answer_bytes"), answer_bytes.to_string());
    assert_eq!(documented("admin.addr"), crate::AdminConfig::default().addr.to_string());
}
