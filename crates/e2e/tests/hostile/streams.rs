//! Clients over HTTP that stop reading, disconnect midway, or request only the head.

use std::time::Duration;

use testkit::hostile::Peer;

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn heads_of_streams_cost_nothing() {
    let site = Site::start(&[]).await;
    let gateway = site.gateway().public();
    for path in ["/sse/sensors/", "/sse/sensors/?from=latest", "/api/changes?since=1.1.1&wait=30s"] {
        for _ in 0..4 {
            let mut peer = Peer::requesting(gateway, "HEAD", path).await.unwrap();
            let head = peer.read_head().await.unwrap();
            assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
        }
    }
    site.sessions(0).await;
    site.check_idle().await;
    site.serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_a_busy_stream_is_removed() {
    let site = Site::start(&[]).await;
    let gateway = site.gateway().public();
    for _ in 0..10 {
        site.write(2_000, 500);
    }
    // unread, in a replay, and on a live stream
    for path in ["/sse/sensors/?last=10m", "/sse/sensors/", "/sse/sensors/?mode=latest"] {
        for way in 0..3 {
            let mut peer = Peer::requesting(gateway, "GET", path).await.unwrap();
            peer.read_head().await.unwrap();
            site.write(2_000, 500);
            match way {
                0 => drop(peer),
                1 => peer.reset().unwrap(),
                _ => {
                    peer.half_close().await.unwrap();
                    drop(peer);
                }
            }
        }
    }
    site.sessions(0).await;
    site.check_idle().await;
    site.serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_no_stream_that_is_not_read_and_for_no_poll() {
    let site = Site::start(&[]).await;
    let gateway = site.gateway().public();
    site.write(2_000, 500);
    let mut peers = Vec::new();
    for path in ["/sse/sensors/?last=10m", "/sse/sensors/", "/api/changes?since=1.1.1&wait=50s"] {
        peers.push(Peer::requesting(gateway, "GET", path).await.unwrap());
    }
    site.sessions(2).await;
    let gateway = site.stack.gateways.into_iter().next().unwrap().process;
    gateway.signal(nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(gateway.wait(Duration::from_secs(15)).unwrap(), Some(0));
}
