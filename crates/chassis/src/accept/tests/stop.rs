//! Both stages of the stop.

use axum::Router;
use axum::routing::get;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;

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
        "the client must not send another: {answer}"
    );
    timeout(LONG, rig.life.drained()).await.unwrap();
    TcpStream::connect(rig.addr).await.unwrap_err();
    assert_eq!(rig.life.failure(), None);
}

#[tokio::test]
async fn the_hard_stop_aborts_a_request_in_flight() {
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
