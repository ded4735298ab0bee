//! Connections that leave HTTP.

use std::io::ErrorKind;

use axum::routing::get;
use axum::{Extension, Router};
use http::StatusCode;
use hyper::upgrade::OnUpgrade;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::time::timeout;

use super::*;
use crate::accept::{Handover, Permit, Socket, into_socket};

/// The next bytes, `""` at the end.
pub(super) async fn read(socket: &mut Socket) -> String {
    let mut buffer = [0; 1024];
    loop {
        socket.ready(Interest::READABLE).await.unwrap();
        match socket.try_read(&mut buffer) {
            Ok(read) => return String::from_utf8(buffer[..read].to_vec()).unwrap(),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
}

#[tokio::test]
async fn an_upgraded_connection_is_the_bare_socket_and_keeps_its_permit() {
    let tasks = Life::new();
    let upgrade =
        get(move |Extension(permit): Extension<Permit>, Extension(on): Extension<OnUpgrade>| async move {
            tasks.spawn_work(async move {
                let (mut socket, early) = into_socket(on.await.unwrap()).unwrap();
                assert_eq!(early, "early");
                socket.write_all(b"raw").await.unwrap();
                assert_eq!(read(&mut socket).await, "!");
                drop(permit);
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

/// Takes the socket where it is available, and responds `ordinary` elsewhere.
fn lasting() -> Router {
    let tasks = Life::new();
    let last = move |Extension(permit): Extension<Permit>, handover: Option<Extension<Handover>>| async move {
        let Some(Extension(handover)) = handover else { return "ordinary" };
        let socket = handover.take_socket();
        tasks.spawn_work(async move {
            let Some(mut socket) = socket.await else { return };
            socket.write_all(b"2\r\non\r\n").await.unwrap();
            assert_eq!(read(&mut socket).await, "!");
            drop(permit);
        });
        ""
    };
    Router::new().route("/last", get(last.clone()).post(last)).merge(hello())
}

#[tokio::test]
async fn an_endless_response_gets_the_bare_socket_after_its_head_and_keeps_its_permit() {
    let rig = Rig::start(lasting(), 100, Limits::default()).await;
    let mut client = rig.connect().await;
    // earlier requests are answered first
    let get = |path| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    client.write_all(format!("{}{}", get("/hello/x"), get("/last")).as_bytes()).await.unwrap();
    let received = read_until(&mut client, "2\r\non\r\n").await;
    let (before, head) = received.split_once("hello").unwrap();
    assert!(
        before.starts_with("HTTP/1.1 200 OK\r\n") && head.starts_with("HTTP/1.1 200 OK\r\n"),
        "{received}"
    );
    for header in
        ["transfer-encoding: chunked\r\n", "connection: close\r\n", "date: ", "content-type: text/plain"]
    {
        assert!(head.contains(header), "{head}");
    }
    assert!(!head.contains("content-length"), "{head}");
    rig.wait_for_metric("rowcast_http_connections_open 1").await;
    client.write_all(b"!").await.unwrap();
    rig.wait_for_metric("rowcast_http_connections_open 0").await;
    // a client that disconnects before the head is written leaves nothing behind
    for _ in 0..20 {
        rig.connect().await.write_all(get("/last").as_bytes()).await.unwrap();
    }
    rig.wait_for_metric("rowcast_http_connections_open 0").await;
}

#[tokio::test]
async fn an_endless_response_follows_earlier_responses_that_are_not_read_yet() {
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
