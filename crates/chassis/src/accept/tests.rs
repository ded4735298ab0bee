use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::routing::{get, post};
use axum::{Extension, Router};
use http::StatusCode;
use hyper::upgrade::OnUpgrade;
use prometheus::{Registry, TextEncoder};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;

/// No test waits this long unless it fails.
const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(200);

struct Rig {
    life: Life,
    addr: SocketAddr,
    registry: Registry,
}

impl Rig {
    async fn start(router: Router, max_connections: usize, limits: Limits) -> Self {
        let (life, registry) = (Life::new(), Registry::new());
        let listener = bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let config = HttpConfig { addr, max_connections, ..HttpConfig::default() };
        let metrics = HttpMetrics::register(&registry).unwrap();
        serve_with(&life, listener, &config, router, &metrics, limits);
        Self { life, addr, registry }
    }

    async fn plain() -> Self {
        Self::start(hello(), 100, Limits::default()).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    fn metrics(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap()
    }

    /// What the server says to these bytes until it hangs up.
    async fn exchange(&self, bytes: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        to_end(&mut stream).await
    }

    async fn wait_for_metric(&self, line: &str) {
        let seen = timeout(LONG, async {
            while !self.metrics().lines().any(|have| have == line) {
                tokio::task::yield_now().await;
            }
        });
        assert!(seen.await.is_ok(), "no {line} in:\n{}", self.metrics());
    }
}

fn hello() -> Router {
    Router::new()
        .route("/hello/{name}", get(|| async { "hello" }))
        .route("/echo", post(|body: String| async { body }))
        .route("/peer", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() }))
}

async fn to_end(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    match timeout(LONG, stream.read_to_end(&mut said)).await {
        Ok(_) => String::from_utf8_lossy(&said).into_owned(),
        Err(_) => panic!("the server did not hang up; it said: {}", String::from_utf8_lossy(&said)),
    }
}

/// Reads up to and with these bytes.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut said = Vec::new();
    while !said.ends_with(end.as_bytes()) {
        let byte = timeout(LONG, stream.read_u8()).await;
        let byte = byte.unwrap_or_else(|_| panic!("only: {}", String::from_utf8_lossy(&said)));
        said.push(byte.unwrap());
    }
    String::from_utf8(said).unwrap()
}

#[track_caller]
fn assert_problem(answer: &str, status: StatusCode, code: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {}", status.as_u16())), "{answer}");
    assert!(answer.contains("content-type: application/problem+json"), "{answer}");
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["type"], format!("urn:rowcast:problem:{code}"));
    assert_eq!(body["status"], status.as_u16());
    assert!(body["error"].is_string() && body["title"].is_string(), "{body}");
}

#[tokio::test]
async fn a_head_that_stalls_is_cut() {
    let rig = Rig::start(hello(), 100, Limits { head: SHORT, ..Limits::default() }).await;
    let said = rig.exchange("GET /hello/you HTTP/1.1\r\nHost: x\r\n").await;
    assert_eq!(said, "");
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_cut() {
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
    let said = rig.exchange(&format!("GET / HTTP/1.1\r\nHost: x\r\nx-long: {long}\r\n\r\n")).await;
    assert_problem(&said, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers-too-large");
}

#[tokio::test]
async fn a_head_without_end_is_431_before_it_ends() {
    let rig = Rig::plain().await;
    let long = "y".repeat(PARSED_AT_MOST);
    let said = rig.exchange(&format!("GET / HTTP/1.1\r\nHost: x\r\nx-long: {long}")).await;
    assert!(said.starts_with("HTTP/1.1 431"), "{said}");
}

/// Past the parser's own limit of 32 KiB, and short enough for the socket's buffers.
const PARSED_AT_MOST: usize = 33 * 1024;

#[tokio::test]
async fn a_request_needs_exactly_one_host() {
    let rig = Rig::plain().await;
    for hosts in ["", "Host: a\r\nHost: b\r\n", "Host: a\r\nHost: a\r\n"] {
        let said = rig.exchange(&format!("GET /hello/you HTTP/1.1\r\n{hosts}\r\n")).await;
        assert_problem(&said, StatusCode::BAD_REQUEST, "host-header");
    }
    let old = rig.exchange("GET /hello/you HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 400"), "{old}");
    let old = rig.exchange("GET /hello/you HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200"), "{old}");
}

#[tokio::test]
async fn a_body_that_stalls_is_408() {
    let rig = Rig::start(hello(), 100, Limits { body: SHORT, ..Limits::default() }).await;
    let said = rig.exchange("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc").await;
    assert_problem(&said, StatusCode::REQUEST_TIMEOUT, "body-timeout");
}

#[tokio::test]
async fn a_connection_past_the_cap_is_503_until_a_seat_is_free() {
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
async fn the_drain_finishes_a_request_in_flight_and_drops_idle_connections() {
    let (entered, mut entries) = mpsc::channel(1);
    let (release, gate) = tokio::sync::watch::channel(false);
    let slow = get(move || async move {
        entered.send(()).await.unwrap();
        gate.clone().wait_for(|open| *open).await.unwrap();
        "at last"
    });
    let rig = Rig::start(hello().route("/slow", slow), 100, Limits::default()).await;
    let mut idle = rig.connect().await;
    idle.write_all(b"GET /hello/you HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    read_until(&mut idle, "hello").await;
    let mut silent = rig.connect().await;
    let mut busy = rig.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    entries.recv().await.unwrap();

    rig.life.stop_soft();
    assert_eq!(to_end(&mut idle).await, "");
    assert_eq!(to_end(&mut silent).await, "");
    release.send(true).unwrap();
    let answer = to_end(&mut busy).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("at last"), "{answer}");
    assert!(
        answer.to_lowercase().contains("\r\nconnection: close\r\n"),
        "its client may send no other: {answer}"
    );
    timeout(LONG, rig.life.drained()).await.unwrap();
    TcpStream::connect(rig.addr).await.unwrap_err();
    assert_eq!(rig.life.failure(), None);
}

#[tokio::test]
async fn the_hard_stop_cuts_a_request_in_flight() {
    let (entered, mut entries) = mpsc::channel(1);
    let stuck = get(move || async move {
        entered.send(()).await.unwrap();
        std::future::pending::<()>().await;
    });
    let rig = Rig::start(Router::new().route("/stuck", stuck), 100, Limits::default()).await;
    let mut busy = rig.connect().await;
    busy.write_all(b"GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    entries.recv().await.unwrap();
    rig.life.stop_hard();
    assert_eq!(to_end(&mut busy).await, "");
    timeout(LONG, rig.life.drained()).await.unwrap();
}

#[tokio::test]
async fn an_upgraded_connection_is_the_bare_socket_and_keeps_its_seat() {
    let tasks = Life::new();
    let upgrade =
        get(move |Extension(seat): Extension<Seat>, Extension(on): Extension<OnUpgrade>| async move {
            tasks.spawn_work(async move {
                let (mut socket, early) = into_tcp(on.await.unwrap()).unwrap();
                assert_eq!(early, "early");
                socket.write_all(b"raw").await.unwrap();
                assert_eq!(socket.read_u8().await.unwrap(), b'!');
                drop(seat);
            });
            (StatusCode::SWITCHING_PROTOCOLS, [("connection", "upgrade"), ("upgrade", "raw")])
        });
    let rig = Rig::start(Router::new().route("/up", upgrade), 100, Limits::default()).await;
    let mut client = rig.connect().await;
    let request = "GET /up HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\nearly";
    client.write_all(request.as_bytes()).await.unwrap();
    read_until(&mut client, "raw").await;
    let rest = read_until(&mut client, "raw").await;
    assert!(rest.ends_with("\r\n\r\nraw"), "{rest}");
    rig.wait_for_metric("rowcast_http_connections_open 1").await;
    client.write_all(b"!").await.unwrap();
    rig.wait_for_metric("rowcast_http_connections_open 0").await;
}

/// Where the socket can be had, it is asked for, and told apart from an ordinary answer.
fn lasting() -> Router {
    let tasks = Life::new();
    let last = move |Extension(seat): Extension<Seat>, handover: Option<Extension<Handover>>| async move {
        let Some(Extension(handover)) = handover else { return "ordinary" };
        let socket = handover.ask();
        tasks.spawn_work(async move {
            let Some(mut socket) = socket.await else { return };
            socket.write_all(b"2\r\non\r\n").await.unwrap();
            assert_eq!(socket.read_u8().await.unwrap(), b'!');
            drop(seat);
        });
        ""
    };
    Router::new().route("/last", get(last.clone()).post(last)).merge(hello())
}

#[tokio::test]
async fn an_answer_without_an_end_has_the_bare_socket_behind_its_head_and_keeps_its_seat() {
    let rig = Rig::start(lasting(), 100, Limits::default()).await;
    let mut client = rig.connect().await;
    // what was asked before is answered before
    let get = |path| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    client.write_all(format!("{}{}", get("/hello/x"), get("/last")).as_bytes()).await.unwrap();
    let said = read_until(&mut client, "2\r\non\r\n").await;
    let (before, head) = said.split_once("hello").unwrap();
    assert!(before.starts_with("HTTP/1.1 200 OK\r\n") && head.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
    for header in
        ["transfer-encoding: chunked\r\n", "connection: close\r\n", "date: ", "content-type: text/plain"]
    {
        assert!(head.contains(header), "{head}");
    }
    assert!(!head.contains("content-length"), "{head}");
    rig.wait_for_metric("rowcast_http_connections_open 1").await;
    client.write_all(b"!").await.unwrap();
    rig.wait_for_metric("rowcast_http_connections_open 0").await;
    // who goes before the head is written leaves nothing behind
    for _ in 0..20 {
        rig.connect().await.write_all(get("/last").as_bytes()).await.unwrap();
    }
    rig.wait_for_metric("rowcast_http_connections_open 0").await;
}

#[tokio::test]
async fn an_answer_without_an_end_comes_behind_what_is_not_read_yet() {
    const LARGE: usize = 32 << 20;
    let large = Router::new().route("/large", get(|| async { vec![b'x'; LARGE] }));
    let rig = Rig::start(lasting().merge(large), 100, Limits::default()).await;
    let mut client = rig.connect().await;
    let get = |path| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    client.write_all(format!("{}{}", get("/large"), get("/last")).as_bytes()).await.unwrap();
    // the sockets hold a part of it only: the rest waits while the second request is answered
    let head = read_until(&mut client, "\r\n\r\n").await;
    assert!(head.contains("content-length: 33554432"), "{head}");
    let mut body = vec![0; LARGE];
    timeout(LONG, client.read_exact(&mut body)).await.unwrap().unwrap();
    assert!(body.iter().all(|byte| *byte == b'x'));
    let last = timeout(LONG, read_until(&mut client, "2\r\non\r\n")).await.unwrap();
    assert!(last.starts_with("HTTP/1.1 200 OK\r\n"), "{last}");
}

#[tokio::test]
async fn a_request_with_a_body_or_of_http_1_0_keeps_its_connection() {
    let rig = Rig::start(lasting(), 100, Limits::default()).await;
    for request in [
        "POST /last HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
        "POST /last HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
        "GET /last HTTP/1.0\r\n\r\n",
    ] {
        assert!(rig.exchange(request).await.ends_with("ordinary"), "{request}");
    }
}

#[tokio::test]
async fn http2_is_heard_from_its_first_bytes() {
    const SETTINGS: u8 = 4;
    let rig = Rig::plain().await;
    let mut client = rig.connect().await;
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut head = [0; 9];
    timeout(LONG, client.read_exact(&mut head)).await.unwrap().unwrap();
    assert_eq!(head[3], SETTINGS);
}

#[tokio::test]
async fn an_http2_peer_that_says_nothing_more_is_cut() {
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = "\0\0\0\x04\0\0\0\0\0";
    for said in ["P", "PRI", "PRI *", preface, &format!("{preface}{settings}")] {
        let rig = Rig::start(hello(), 100, Limits { head: SHORT, ..Limits::default() }).await;
        rig.exchange(said).await;
        rig.wait_for_metric("rowcast_http_connections_open 0").await;
    }
}

#[tokio::test]
async fn a_head_has_its_deadline_on_a_kept_connection_too_and_silence_has_another() {
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

/// A route whose answer is larger than what sockets buffer.
fn large() -> Router {
    Router::new().route("/large", get(|| async { vec![b'x'; 32 << 20] }))
}

#[tokio::test]
async fn large_heads_and_http2_connections_have_a_number() {
    let limits = Limits { head: LONG * 6, ..Limits::default() };
    let large = format!("GET / HTTP/1.1\r\nHost: x\r\ncookie: {}", "c".repeat(9 << 10));
    for (said, expected) in
        [(large.as_str(), 1_024), ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", 64)]
    {
        let rig = Rig::start(hello(), 2_000, limits).await;
        let mut clients = Vec::new();
        for _ in 0..expected + 10 {
            let mut client = rig.connect().await;
            // one too many may be cut while it speaks
            let _ = client.write_all(said.as_bytes()).await;
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
async fn an_answer_that_nobody_reads_is_dropped_with_its_connection() {
    let limits = Limits { write: SHORT, ..Limits::default() };
    let rig = Rig::start(large(), 100, limits).await;
    let mut stream = rig.connect().await;
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    rig.wait_for_metric("rowcast_http_connections_overdue_total{deadline=\"write\"} 1").await;
    rig.wait_for_metric("rowcast_http_connections_open 0").await;
}

#[tokio::test]
async fn answers_that_wait_are_bounded_in_all() {
    let rig = Rig::start(large(), 100, Limits::default()).await;
    let request = b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let mut unread = Vec::new();
    for _ in 0..2 {
        let mut stream = rig.connect().await;
        stream.write_all(request).await.unwrap();
        read_until(&mut stream, "\r\n\r\n").await;
        unread.push(stream);
    }
    let refused = rig.exchange(&String::from_utf8_lossy(request)).await;
    assert_problem(&refused, StatusCode::SERVICE_UNAVAILABLE, "busy");
    assert!(refused.contains("retry-after: 5"), "{refused}");
    drop(unread);
    timeout(LONG, async {
        while !rig.exchange(&String::from_utf8_lossy(request)).await.starts_with("HTTP/1.1 200") {}
    })
    .await
    .expect("there is room again");
}

/// Frames of HTTP/2, as bytes.
fn http2_frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = &(payload.len() as u32).to_be_bytes()[1..];
    [length, &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[tokio::test]
async fn an_http2_peer_that_opens_no_window_is_cut() {
    const SETTINGS: u8 = 4;
    const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
    const HEADERS: u8 = 1;
    const END: u8 = 0x5;
    for window in [0_u32, 1] {
        let rig = Rig::start(large(), 100, Limits { write: SHORT, ..Limits::default() }).await;
        let mut stream = rig.connect().await;
        let settings = [&INITIAL_WINDOW_SIZE[..], &window.to_be_bytes()].concat();
        // `:method: GET`, `:scheme: http`, `:path: /large`, `:authority: x` (RFC 7541 §6.1, §6.2.2)
        let head = [&[0x82, 0x86, 0x04, 6][..], b"/large", &[0x01, 1, b'x']].concat();
        let said = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            http2_frame(SETTINGS, 0, 0, &settings),
            http2_frame(HEADERS, END, 1, &head),
        ];
        stream.write_all(&said.concat()).await.unwrap();
        rig.wait_for_metric("rowcast_http_connections_overdue_total{deadline=\"write\"} 1").await;
        rig.wait_for_metric("rowcast_http_connections_open 0").await;
    }
}

#[tokio::test]
async fn handlers_know_their_peer() {
    let rig = Rig::plain().await;
    let mut client = rig.connect().await;
    let own = client.local_addr().unwrap().to_string();
    client.write_all(b"GET /peer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let said = to_end(&mut client).await;
    assert!(said.ends_with(&own), "{said}");
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
async fn every_address_is_those_of_both_families() {
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
