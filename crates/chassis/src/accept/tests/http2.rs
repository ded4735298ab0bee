//! Connections of HTTP/2.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::*;

#[tokio::test]
async fn http2_is_detected_by_its_first_bytes() {
    const SETTINGS: u8 = 4;
    let rig = Rig::plain().await;
    let mut client = rig.connect().await;
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut head = [0; 9];
    timeout(LONG, client.read_exact(&mut head)).await.unwrap().unwrap();
    assert_eq!(head[3], SETTINGS);
}

#[tokio::test]
async fn an_http2_peer_that_falls_silent_is_disconnected() {
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = "\0\0\0\x04\0\0\0\0\0";
    for sent in ["P", "PRI", "PRI *", preface, &format!("{preface}{settings}")] {
        let rig = Rig::start(hello(), 100, Limits { head: SHORT, ..Limits::default() }).await;
        rig.exchange(sent).await;
        rig.wait_for_metric("rowcast_http_connections_open 0").await;
    }
}

/// Frames of HTTP/2, as bytes.
fn http2_frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = &(payload.len() as u32).to_be_bytes()[1..];
    [length, &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[tokio::test]
async fn an_http2_peer_that_opens_no_window_is_disconnected() {
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
        let sent = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            http2_frame(SETTINGS, 0, 0, &settings),
            http2_frame(HEADERS, END, 1, &head),
        ];
        stream.write_all(&sent.concat()).await.unwrap();
        rig.wait_for_metric("rowcast_http_connections_overdue_total{deadline=\"write\"} 1").await;
        rig.wait_for_metric("rowcast_http_connections_open 0").await;
    }
}
