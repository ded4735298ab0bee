//! Clients that read more slowly than events arrive.

use std::time::Duration;

use futures_util::future::join_all;
use testkit::{hostile::Peer, wait_for};

use crate::site::Site;

/// Enough to count as alive, far less than is written here.
const SLOW: usize = 64 << 10;

/// The kernel opens the window only after kilobytes: less than is needed to count as alive.
const DRIPPING: usize = 1;

/// The gateway's ping settings in these tests: it closes after 8 s.
const PING_SETTINGS: [(&str, &str); 2] =
    [("ws-gateway:ROWCAST_PING__EVERY", "4s"), ("ws-gateway:ROWCAST_PING__DEADLINE", "4s")];

async fn readers(site: &Site) -> Vec<Peer> {
    let gateway = site.gateway().public();
    let mut event_stream = Peer::requesting(gateway, "GET", "/sse/sensors/").await.unwrap();
    event_stream.read_head().await.unwrap();
    let socket = Peer::socket(gateway, "/ws/sensors/?v=1&sensor=*").await.unwrap();
    site.sessions(2).await;
    vec![event_stream, socket]
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_readers_fall_behind_and_stay_connected_without_cpu_cost() {
    let site = Site::start(&PING_SETTINGS).await;
    let mut peers = readers(&site).await;
    let reading = join_all(peers.iter_mut().map(|peer| peer.read_slowly(SLOW)));
    let others = async {
        for _ in 0..10 {
            site.write(2_000, 500);
        }
        wait_for("sessions that fell behind", Duration::from_secs(30), || async {
            let behind = site.gateway().metric("rowcast_gateway_fell_behind_total").await.unwrap();
            if behind >= 2.0 { Ok(()) } else { Err(behind) }
        })
        .await;
        // longer than the ping deadline, twice
        for _ in 0..2 {
            site.check_idle().await;
            site.serves().await;
        }
        site.sessions(2).await;
    };
    tokio::select! {
        ended = reading => panic!("a slow reader was closed, after {ended:?} bytes"),
        () = others => {}
    }
    drop(peers);
    site.sessions(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_take_almost_nothing_are_closed() {
    let site = Site::start(&PING_SETTINGS).await;
    let mut peers = readers(&site).await;
    for _ in 0..10 {
        site.write(2_000, 500);
    }
    let reading = join_all(peers.iter_mut().map(|peer| peer.read_slowly(DRIPPING)));
    let others = async {
        site.check_idle().await;
        site.serves().await;
        site.sessions(0).await;
        let ended = site.gateway().metric(r#"rowcast_gateway_closes_total{reason="no-pong"}"#).await;
        assert_eq!(ended.unwrap(), 2.0);
    };
    tokio::select! {
        _ = reading => unreachable!("the kernels' buffers last for hours at this rate"),
        () = others => {}
    }
}
