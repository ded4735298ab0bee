//! Responses that wait for their peers.

use http::StatusCode;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::*;

#[tokio::test]
async fn a_response_that_is_not_read_is_dropped_with_its_connection() {
    let limits = Limits { write: SHORT, ..Limits::default() };
    let rig = Rig::start(large(), 100, limits).await;
    let mut stream = rig.connect().await;
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    rig.wait_for_metric("rowcast_http_connections_overdue_total{deadline=\"write\"} 1").await;
    rig.wait_for_metric("rowcast_http_connections_open 0").await;
}

#[tokio::test]
async fn waiting_responses_are_bounded_in_total() {
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
    .expect("the budget is free again");
}
