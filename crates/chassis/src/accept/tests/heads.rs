//! Heads and bodies: their sizes, their hosts and their deadlines.

use http::StatusCode;
use tokio::io::AsyncWriteExt;

use super::*;

#[tokio::test]
async fn a_connection_whose_head_stalls_is_closed() {
    let rig = Rig::start(hello(), 100, Limits { head: SHORT, ..Limits::default() }).await;
    let received = rig.exchange("GET /hello/you HTTP/1.1\r\nHost: x\r\n").await;
    assert_eq!(received, "");
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let rig = Rig::start(hello(), 100, Limits { head: SHORT, ..Limits::default() }).await;
    assert_eq!(rig.exchange("").await, "");
}

#[tokio::test]
async fn sixty_five_headers_are_431_and_sixty_four_are_not() {
    let rig = Rig::plain().await;
    let request = |extra: usize| {
        let extra: String = (0..extra).map(|n| format!("x-{n}: y\r\n")).collect();
        format!("GET /hello/you HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{extra}\r\n")
    };
    assert_problem(
        &rig.exchange(&request(63)).await,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "headers-too-large",
    );
    let allowed = rig.exchange(&request(62)).await;
    assert!(allowed.starts_with("HTTP/1.1 200"), "{allowed}");
}

#[tokio::test]
async fn seventeen_kib_of_headers_are_431() {
    let rig = Rig::plain().await;
    let long = "y".repeat(17 * 1024);
    let received = rig.exchange(&format!("GET / HTTP/1.1\r\nHost: x\r\nx-long: {long}\r\n\r\n")).await;
    assert_problem(&received, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers-too-large");
}

#[tokio::test]
async fn a_head_without_end_is_431_before_it_ends() {
    let rig = Rig::plain().await;
    let long = "y".repeat(PARSED_AT_MOST);
    let received = rig.exchange(&format!("GET / HTTP/1.1\r\nHost: x\r\nx-long: {long}")).await;
    assert!(received.starts_with("HTTP/1.1 431"), "{received}");
}

/// Past the parser's own limit of 32 KiB, and short enough for the socket's buffers.
const PARSED_AT_MOST: usize = 33 * 1024;

#[tokio::test]
async fn a_request_needs_exactly_one_host() {
    let rig = Rig::plain().await;
    for hosts in ["", "Host: a\r\nHost: b\r\n", "Host: a\r\nHost: a\r\n"] {
        let received = rig.exchange(&format!("GET /hello/you HTTP/1.1\r\n{hosts}\r\n")).await;
        assert_problem(&received, StatusCode::BAD_REQUEST, "host-header");
    }
    let old = rig.exchange("GET /hello/you HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 400"), "{old}");
    let old = rig.exchange("GET /hello/you HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200"), "{old}");
}

#[tokio::test]
async fn a_body_that_stalls_is_408() {
    let rig = Rig::start(hello(), 100, Limits { body: SHORT, ..Limits::default() }).await;
    let received = rig.exchange("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc").await;
    assert_problem(&received, StatusCode::REQUEST_TIMEOUT, "body-timeout");
}

#[tokio::test]
async fn a_keep_alive_connection_has_a_head_deadline_and_an_idle_deadline() {
    let limits = Limits { head: SHORT, idle: 3 * SHORT, ..Limits::default() };
    let rig = Rig::start(hello(), 100, limits).await;
    let mut stream = rig.connect().await;
    for (rest, line) in [
        ("GET /hello/you HTTP/1.1\r\n", "rowcast_http_connections_overdue_total{deadline=\"head\"} 1"),
        ("", "rowcast_http_connections_open 0"),
    ] {
        stream.write_all(b"GET /hello/you HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        read_until(&mut stream, "hello").await;
        let answered_at = tokio::time::Instant::now();
        stream.write_all(rest.as_bytes()).await.unwrap();
        assert_eq!(to_end(&mut stream).await, "");
        let least = if rest.is_empty() { limits.idle } else { limits.head };
        assert!(answered_at.elapsed() >= least - SHORT / 2, "{rest:?}: {:?}", answered_at.elapsed());
        rig.wait_for_metric(line).await;
        stream = rig.connect().await;
    }
}
