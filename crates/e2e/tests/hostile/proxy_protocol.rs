//! A port that demands the PROXY protocol, and peers that send its header slowly, wrongly, endlessly or not at all.

use std::time::Duration;

use e2e::{Stack, client, http};
use futures_util::future::join_all;
use testkit::hostile::Peer;

use crate::site::Site;

/// A header must be complete within 10 s.
const CLOSED_WITHIN: Duration = Duration::from_secs(15);

/// Peers of each kind.
const EACH: usize = 100;

/// From 192.0.2.7:4711 to 10.0.0.1:443.
const HEADER: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\x0a\0\0\x01\x12\x67\x01\xbb";

/// One whose rest is as long as may be declared.
const ENDLESS: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff";

async fn rejected(site: &Site, reason: &str) -> f64 {
    let name = format!("rowcast_http_connections_rejected_total{{reason=\"{reason}\"}}");
    site.stack.ingest.metric(&name).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_without_a_whole_header_are_closed_and_others_are_served_meanwhile() {
    let site = Site::start(&[
        ("ingest:ROWCAST_HTTP__TRUSTED_PROXIES", "127.0.0.1"),
        ("ingest:ROWCAST_HTTP__PROXY_PROTOCOL", "on"),
    ])
    .await;
    let ingest = site.stack.ingest.public();
    let slow = [b"".as_slice(), b"\r", &HEADER[..13], &HEADER[..20], &HEADER[..HEADER.len() - 1]];
    let wrong = [b"GET / HTTP/1.1\r\n".as_slice(), b"\r\n\r\n\0\r\nQUIT\r", ENDLESS];
    let mut peers = Vec::new();
    for bytes in slow.into_iter().chain(wrong) {
        for _ in 0..EACH {
            peers.push((bytes, Peer::sending(ingest, bytes).await.unwrap()));
        }
    }
    let request = "GET /api/sensors/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let served = http::exchange(ingest, &[HEADER, request.as_bytes()].concat()).await.unwrap();
    assert_eq!(served.status, 200);
    let ended = join_all(
        peers.iter_mut().map(|(bytes, peer)| async move { (*bytes, peer.read_to_end(CLOSED_WITHIN).await) }),
    );
    for (bytes, ended) in ended.await {
        assert_eq!(ended, Some(0), "{bytes:02x?}");
    }
    assert_eq!(rejected(&site, "proxy_header").await, (wrong.len() * EACH) as f64);
    site.check_idle().await;
    check_gateway(&site.stack).await;
}

/// The gateway has no such header, and serves as ever.
async fn check_gateway(stack: &Stack) {
    let (_, first) = client::subscribed(stack.gateways[0].public(), "{}").await;
    assert!(first.ok.is_some());
    for service in stack.services() {
        assert_eq!(http::get(service.admin, "/livez").await.unwrap().status, 200);
        assert_eq!(service.metric("rowcast_panics_total").await.unwrap(), 0.0);
    }
}
