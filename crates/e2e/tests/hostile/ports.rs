//! Every port, public and admin: connections that say nothing, half of something, or nonsense.

use std::{net::SocketAddr, time::Duration};

use e2e::http;
use futures_util::future::join_all;
use testkit::hostile::Peer;

use crate::site::Site;

/// A connection without a request is cut after 10 s.
const CUT_WITHIN: Duration = Duration::from_secs(15);

fn ports(site: &Site) -> Vec<SocketAddr> {
    let public = site.stack.services().filter_map(|service| service.http);
    public.chain(site.stack.services().map(|service| service.admin)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_says_nothing_or_half_of_something_is_cut_on_every_port() {
    let site = Site::start(&[]).await;
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = format!("{preface}\0\0\0\x04\0\0\0\0\0");
    let mut peers = Vec::new();
    for addr in ports(&site) {
        for said in
            ["", "P", "PRI *", preface, &settings, "GET / HTTP/1.1\r\nhost: x\r\n", "GET / HT", "\r\n"]
        {
            peers.push((addr, said.to_owned(), Peer::saying(addr, said.as_bytes()).await.unwrap()));
        }
    }
    let cut = join_all(peers.iter_mut().map(|(addr, said, peer)| async move {
        (*addr, said.as_str(), peer.read_to_end(CUT_WITHIN).await.is_some())
    }));
    for (addr, said, cut) in cut.await {
        assert!(cut, "{addr} keeps {said:?}");
    }
    site.serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_are_answered_beside_a_crowd_that_says_nothing() {
    let site = Site::start(&[]).await;
    for addr in ports(&site) {
        let mut peers = Vec::new();
        for _ in 0..200 {
            peers.push(Peer::saying(addr, b"GET /livez HTTP/1.1\r\n").await.unwrap());
        }
        assert!(http::get(addr, "/livez").await.is_ok(), "{addr}");
    }
    site.serves().await;
}
