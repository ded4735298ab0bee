//! Peers that violate HTTP/2.

use std::{net::SocketAddr, time::Duration};

use testkit::hostile::{
    Peer,
    http2::{CONTINUATION, END_STREAM, GOAWAY, HEADERS, RESET, begin, cancel, frame, frames, get},
};

use crate::site::Site;

const WITHIN: Duration = Duration::from_secs(15);

/// Shorter than any deadline of a connection.
const AT_ONCE: Duration = Duration::from_secs(6);

/// Every port of every service.
fn ports(site: &Site) -> Vec<SocketAddr> {
    site.stack.services().flat_map(|service| service.http.into_iter().chain([service.admin])).collect()
}

/// Sends the bytes and returns the received frames, once the server has closed the connection in time.
async fn until_ended(addr: SocketAddr, bytes: &[u8], within: Duration) -> Vec<(u8, u32, Vec<u8>)> {
    let mut peer = Peer::connect(addr).await.unwrap();
    // the server may close before everything is sent
    let _ = tokio::time::timeout(within, peer.send(bytes)).await;
    let received = peer.read_until_closed(within).await;
    frames(&received.unwrap_or_else(|| panic!("{addr} did not close")))
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_reset_at_once_end_their_connection() {
    let site = Site::start(&[]).await;
    let path = "/livez";
    let resets: Vec<u8> =
        (0..20_000).flat_map(|number| [get(2 * number + 1, path), cancel(2 * number + 1)].concat()).collect();
    for port in ports(&site) {
        let received = until_ended(port, &[begin(), resets.clone()].concat(), WITHIN).await;
        let served = received.iter().filter(|(kind, ..)| *kind == HEADERS).count();
        assert!(served < 10_000, "{port}: {served} streams were served");
    }
    site.check_idle().await;
    site.serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_without_an_end_end_their_connection() {
    let site = Site::start(&[]).await;
    // GET, http, and a header of 16 KB in each frame, which is never the last
    let header = [&[0x00, 1, b'x', 0x7f, 0x81, 0x7c][..], &[b'y'; 16_000]].concat();
    let mut bytes = begin();
    bytes.extend(frame(HEADERS, END_STREAM, 1, &[0x82, 0x86]));
    for _ in 0..200 {
        bytes.extend(frame(CONTINUATION, 0, 1, &header));
    }
    for port in ports(&site) {
        until_ended(port, &bytes, AT_ONCE).await;
    }
    site.check_idle().await;
    site.serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_beyond_their_number_are_refused() {
    let site = Site::start(&[]).await;
    let gateway = site.gateway().public();
    let mut peer = Peer::connect(gateway).await.unwrap();
    let streams =
        |count: u32| (0..count).flat_map(|number| get(2 * number + 1, "/sse/sensors/")).collect::<Vec<_>>();
    peer.send(&[begin(), streams(150)].concat()).await.unwrap();
    site.sessions(128).await;
    let bytes = peer.read_for(Duration::from_secs(2)).await;
    // REFUSED_STREAM: the client may retry
    let refused = |(kind, _, payload): &&(u8, u32, Vec<u8>)| *kind == RESET && payload[..] == [0, 0, 0, 7];
    let frames = frames(&bytes);
    assert_eq!(frames.iter().filter(refused).count(), 22);
    assert!(!frames.iter().any(|(kind, ..)| *kind == GOAWAY));
    drop(peer);
    site.sessions(0).await;
    // one that continues is disconnected
    until_ended(gateway, &[begin(), streams(300)].concat(), WITHIN).await;
    site.sessions(0).await;
    site.serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_a_busy_stream_of_http_2_or_1_0_is_removed() {
    let site = Site::start(&[]).await;
    let gateway = site.gateway().public();
    for _ in 0..10 {
        site.write(2_000, 500);
    }
    for path in ["/sse/sensors/?last=10m", "/sse/sensors/", "/sse/sensors/?mode=latest"] {
        let http2 = [begin(), get(1, path)].concat();
        let http1 = format!("GET {path} HTTP/1.0\r\nhost: x\r\n\r\n").into_bytes();
        for request in [http2, http1] {
            for resets in [false, true] {
                let peer = Peer::sending(gateway, &request).await.unwrap();
                site.sessions(1).await;
                site.write(2_000, 500);
                if resets {
                    peer.reset().unwrap();
                } else {
                    drop(peer);
                }
                site.sessions(0).await;
            }
        }
    }
    site.check_idle().await;
    site.serves().await;
}
