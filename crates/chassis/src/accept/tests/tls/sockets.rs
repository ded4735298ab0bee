//! Connections that leave HTTP under TLS.

use axum::Extension;
use hyper::upgrade::OnUpgrade;
use tokio::io::Interest;

use super::super::sockets::read;
use super::*;
use crate::accept::{Handover, Permit, Socket, into_socket};

/// Answers `Upgrade: raw`, and passes on the socket with what followed the request.
fn upgrading<F>(
    tasks: Life,
    serve: impl Fn(Socket, bytes::Bytes) -> F + Clone + Send + Sync + 'static,
) -> Router
where
    F: Future<Output = ()> + Send + 'static,
{
    let upgrade =
        get(move |Extension(permit): Extension<Permit>, Extension(on): Extension<OnUpgrade>| async move {
            tasks.spawn_work(async move {
                let (socket, early) = into_socket(on.await.unwrap()).unwrap();
                serve(socket, early).await;
                drop(permit);
            });
            (StatusCode::SWITCHING_PROTOCOLS, [("connection", "upgrade"), ("upgrade", "raw")])
        });
    Router::new().route("/up", upgrade)
}

/// What may follow a request at once: more than HTTP reads at a time.
const EARLY: usize = 12_000;

const UPGRADE: &str = "GET /up HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n";

#[tokio::test]
async fn an_upgraded_connection_goes_on_under_tls_and_ends_with_its_end() {
    let tasks = Life::new();
    let serve = |mut socket: Socket, early: bytes::Bytes| async move {
        // what HTTP had read of the record, and the rest of it
        let mut ahead = String::from_utf8(early.to_vec()).unwrap();
        while ahead.len() < EARLY {
            ahead += &read(&mut socket).await;
        }
        assert_eq!(ahead, "e".repeat(EARLY));
        socket.write_all(b"raw").await.unwrap();
        assert_eq!(read(&mut socket).await, "one");
        assert_eq!(read(&mut socket).await, "two");
        socket.write_all(b"bye").await.unwrap();
        socket.finish().await.unwrap();
        assert_eq!(read(&mut socket).await, "", "the client's end");
    };
    let pair = Pair::new();
    let rig = Folder::with(&pair).rig(upgrading(tasks.clone(), serve), Limits::default()).await;
    let mut client = pair.client().connect(&rig).await.unwrap();
    client.write_all(format!("{UPGRADE}{}", "e".repeat(EARLY)).as_bytes()).await.unwrap();
    let head = read_until(&mut client, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    read_until(&mut client, "raw").await;
    rig.wait_for_metric("rowcast_http_connections_open 1").await;
    client.write_all(b"one").await.unwrap();
    client.flush().await.unwrap();
    client.write_all(b"two").await.unwrap();
    client.flush().await.unwrap();
    // without the end of TLS this would be an error
    let mut rest = Vec::new();
    timeout(LONG, client.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert_eq!(rest, b"bye");
    client.shutdown().await.unwrap();
    rig.wait_for_metric("rowcast_http_connections_open 0").await;
}

/// Much more than sockets and TLS hold, to a client that reads only when it may.
#[tokio::test]
async fn many_slices_arrive_whole_at_a_client_that_reads_late() {
    const SLICE: usize = 1_000;
    const SLICES: usize = 20_000;
    let tasks = Life::new();
    let (blocked, mut is_blocked) = tokio::sync::watch::channel(false);
    let serve = move |mut socket: Socket, _| {
        let blocked = blocked.clone();
        async move {
            let bytes: Vec<u8> = (0..SLICE * SLICES).map(|n| n as u8).collect();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                tokio::select! {
                    biased;
                    ready = socket.ready(Interest::WRITABLE) => drop(ready.unwrap()),
                    // dropped at any time, it loses nothing
                    () = tokio::time::sleep(Duration::from_millis(1)) => {
                        blocked.send_replace(true);
                        continue;
                    }
                }
                let slices: Vec<_> = rest.chunks(SLICE).take(50).map(std::io::IoSlice::new).collect();
                match socket.try_write_vectored(&slices) {
                    Ok(written) => rest = &rest[written..],
                    Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
                }
            }
            socket.shutdown().await.unwrap();
        }
    };
    let pair = Pair::new();
    let rig = Folder::with(&pair).rig(upgrading(tasks.clone(), serve), Limits::default()).await;
    let mut client = pair.client().connect(&rig).await.unwrap();
    client.write_all(UPGRADE.as_bytes()).await.unwrap();
    read_until(&mut client, "\r\n\r\n").await;
    timeout(LONG, is_blocked.wait_for(|blocked| *blocked)).await.unwrap().unwrap();
    let mut received = Vec::new();
    timeout(LONG, client.read_to_end(&mut received)).await.unwrap().unwrap();
    assert_eq!(received.len(), SLICE * SLICES);
    assert!(received.iter().enumerate().all(|(n, byte)| n as u8 == *byte));
    rig.wait_for_metric("rowcast_http_connections_open 0").await;
}

/// What a client sends, in pieces that are not those of its records.
#[tokio::test]
async fn what_a_client_sends_is_read_whole_and_its_loss_is_an_end() {
    let tasks = Life::new();
    let (whole, mut is_whole) = tokio::sync::watch::channel(0);
    let (ended, mut has_ended) = tokio::sync::watch::channel(false);
    let serve = move |mut socket: Socket, early: bytes::Bytes| {
        let (whole, ended) = (whole.clone(), ended.clone());
        async move {
            let (mut buffer, mut received) = ([0; 700], early.to_vec());
            loop {
                socket.ready(Interest::READABLE | Interest::WRITABLE).await.unwrap();
                match socket.try_read(&mut buffer) {
                    Ok(0) => {
                        ended.send_replace(true);
                        return;
                    }
                    Ok(read) => received.extend(&buffer[..read]),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                        socket.ready(Interest::READABLE).await.unwrap();
                    }
                    Err(error) => panic!("{error}"),
                }
                assert!(received.iter().enumerate().all(|(n, byte)| n as u8 == *byte));
                whole.send_replace(received.len());
            }
        }
    };
    let pair = Pair::new();
    let rig = Folder::with(&pair).rig(upgrading(tasks.clone(), serve), Limits::default()).await;
    let mut client = pair.client().connect(&rig).await.unwrap();
    client.write_all(UPGRADE.as_bytes()).await.unwrap();
    read_until(&mut client, "\r\n\r\n").await;
    let bytes: Vec<u8> = (0..500_000_u32).map(|n| n as u8).collect();
    client.write_all(&bytes).await.unwrap();
    client.flush().await.unwrap();
    timeout(LONG, is_whole.wait_for(|received| *received == bytes.len())).await.unwrap().unwrap();
    // the connection ends without an end of TLS
    drop(client);
    timeout(LONG, has_ended.wait_for(|ended| *ended)).await.unwrap().unwrap();
    rig.wait_for_metric("rowcast_http_connections_open 0").await;
}

#[tokio::test]
async fn an_endless_response_takes_the_socket_under_tls() {
    let tasks = Life::new();
    let last = move |Extension(permit): Extension<Permit>, Extension(handover): Extension<Handover>| async move {
        let socket = handover.take_socket();
        tasks.spawn_work(async move {
            let mut socket = socket.await.unwrap();
            socket.write_all(b"2\r\non\r\n").await.unwrap();
            assert_eq!(read(&mut socket).await, "!");
            drop(permit);
        });
        ""
    };
    let pair = Pair::new();
    let router = Router::new().route("/last", get(last)).merge(hello());
    let rig = Folder::with(&pair).rig(router, Limits::default()).await;
    let mut client = pair.client().connect(&rig).await.unwrap();
    let get = |path| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    client.write_all(format!("{}{}", get("/hello/x"), get("/last")).as_bytes()).await.unwrap();
    let received = read_until(&mut client, "2\r\non\r\n").await;
    assert_eq!(received.matches("HTTP/1.1 200 OK").count(), 2, "{received}");
    client.write_all(b"!").await.unwrap();
    rig.wait_for_metric("rowcast_http_connections_open 0").await;
}
