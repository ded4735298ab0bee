//! Connections that begin with a header of the PROXY protocol.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// From 192.0.2.7:4711 to 10.0.0.1:443.
const HEADER: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\x0a\0\0\x01\x12\x67\x01\xbb";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
const REQUEST: &[u8] = b"GET /client HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

async fn rig(proxies: &str, limits: Limits) -> Rig {
    let trusted_proxies = vec![proxies.to_owned()];
    let config = HttpConfig { trusted_proxies, proxy_protocol: true, ..HttpConfig::default() };
    Rig::configured(hello(), &config, limits).await
}

async fn exchange(rig: &Rig, bytes: &[u8]) -> String {
    let mut stream = rig.connect().await;
    // a connection that is rejected may be reset before it has sent everything
    let _ = stream.write_all(bytes).await;
    let mut received = Vec::new();
    let _ = timeout(LONG, stream.read_to_end(&mut received)).await.expect("the connection is closed");
    String::from_utf8(received).unwrap()
}

#[tokio::test]
async fn the_client_is_the_source_of_the_header_or_of_what_it_says_itself() {
    let rig = rig("127.0.0.0/8", Limits::default()).await;
    let proxied = exchange(&rig, &[HEADER, REQUEST].concat()).await;
    assert!(proxied.ends_with("\r\n192.0.2.7"), "{proxied}");
    let probe = exchange(&rig, &[LOCAL, REQUEST].concat()).await;
    assert!(probe.ends_with("\r\n127.0.0.1"), "{probe}");
    // the source is no trusted proxy itself, so that its headers mean nothing
    let claim =
        "GET /client HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.1\r\nConnection: close\r\n\r\n";
    let claimed = exchange(&rig, &[HEADER, claim.as_bytes()].concat()).await;
    assert!(claimed.ends_with("\r\n192.0.2.7"), "{claimed}");
    // and a proxy behind the balancer is
    let claimed = exchange(&rig, &[LOCAL, claim.as_bytes()].concat()).await;
    assert!(claimed.ends_with("\r\n198.51.100.1"), "{claimed}");
}

#[tokio::test]
async fn every_request_of_a_connection_has_its_source_and_http2_follows_a_header() {
    let rig = rig("127.0.0.0/8", Limits::default()).await;
    let mut stream = rig.connect().await;
    stream.write_all(HEADER).await.unwrap();
    for _ in 0..2 {
        stream.write_all(b"GET /client HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        read_until(&mut stream, "192.0.2.7").await;
    }
    let mut stream = rig.connect().await;
    stream
        .write_all(&[HEADER, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"].concat())
        .await
        .unwrap();
    let mut frame = [0; 9];
    timeout(LONG, stream.read_exact(&mut frame)).await.unwrap().unwrap();
    assert_eq!(frame[3], 4, "SETTINGS");
}

#[tokio::test]
async fn what_has_no_header_is_closed_and_counted() {
    let rig = rig("127.0.0.0/8", Limits::default()).await;
    for bytes in [REQUEST, &HEADER[1..], b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n"] {
        assert_eq!(exchange(&rig, bytes).await, "");
    }
    rig.wait_for_metric("rowcast_http_connections_rejected_total{reason=\"proxy_header\"} 3").await;
    // one that leaves at once is a health check
    rig.connect().await;
    rig.wait_for_metric("rowcast_http_connections_accepted_total 4").await;
    rig.wait_for_metric("rowcast_http_connections_open 0").await;
    rig.wait_for_metric("rowcast_http_connections_rejected_total{reason=\"proxy_header\"} 3").await;
}

#[tokio::test]
async fn a_peer_outside_of_the_trusted_networks_is_closed_whatever_it_sends() {
    let rig = rig("10.0.0.0/8", Limits::default()).await;
    for bytes in [b"".as_slice(), REQUEST, &[HEADER, REQUEST].concat()] {
        assert_eq!(exchange(&rig, bytes).await, "");
    }
    rig.wait_for_metric("rowcast_http_connections_rejected_total{reason=\"untrusted\"} 3").await;
    rig.wait_for_metric("rowcast_http_connections_open 0").await;
}

#[tokio::test]
async fn a_slow_header_has_the_time_of_a_head() {
    let rig = rig("127.0.0.0/8", Limits { head: SHORT, ..Limits::default() }).await;
    for bytes in [b"".as_slice(), &HEADER[..5], &HEADER[..20]] {
        assert_eq!(exchange(&rig, bytes).await, "");
    }
    rig.wait_for_metric("rowcast_http_connections_overdue_total{deadline=\"head\"} 3").await;
    rig.wait_for_metric("rowcast_http_connections_open 0").await;
}
