//! Every port, public and admin: connections that send nothing, half a request, or nonsense.

use std::{net::SocketAddr, time::Duration};

use e2e::http;
use futures_util::future::join_all;
use testkit::hostile::Peer;

use crate::site::Site;

/// A connection without a request is closed after 10 s.
const CLOSED_WITHIN: Duration = Duration::from_secs(15);

fn ports(site: &Site) -> Vec<SocketAddr> {
    let public = site.stack.services().filter_map(|service| service.http);
    public.chain(site.stack.services().map(|service| service.admin)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_peers_and_half_requests_are_closed_on_every_port() {
    let site = Site::start(&[]).await;
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = format!("{preface}\0\0\0\x04\0\0\0\0\0");
    let mut peers = Vec::new();
    for addr in ports(&site) {
        for bytes in
            ["", "P", "PRI *", preface, &settings, "GET / HTTP/1.1\r\nhost: x\r\n", "GET / HT", "\r\n"]
        {
            peers.push((addr, bytes.to_owned(), Peer::sending(addr, bytes.as_bytes()).await.unwrap()));
        }
    }
    let cut = join_all(peers.iter_mut().map(|(addr, bytes, peer)| async move {
        (*addr, bytes.as_str(), peer.read_to_end(CLOSED_WITHIN).await.is_some())
    }));
    for (addr, bytes, cut) in cut.await {
        assert!(cut, "{addr} keeps {bytes:?}");
    }
    site.serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_are_answered_beside_many_silent_connections() {
    let site = Site::start(&[]).await;
    for addr in ports(&site) {
        let mut peers = Vec::new();
        for _ in 0..200 {
            peers.push(Peer::sending(addr, b"GET /livez HTTP/1.1\r\n").await.unwrap());
        }
        assert!(http::get(addr, "/livez").await.is_ok(), "{addr}");
    }
    site.serves().await;
}
