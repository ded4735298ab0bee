//! Clients that read, and less than comes.

use std::time::Duration;

use futures_util::future::join_all;
use testkit::{hostile::Peer, wait_for};

use crate::site::Site;

/// Enough to be alive, far less than is written here.
const SLOW: usize = 64 << 10;

/// The kernel asks for more only after kilobytes: less than is needed to be alive.
const DRIPPING: usize = 1;

/// The gateway's patience in these tests: 8 s.
const PATIENCE: [(&str, &str); 2] =
    [("ws-gateway:ROWCAST_PING__EVERY", "4s"), ("ws-gateway:ROWCAST_PING__DEADLINE", "4s")];

async fn readers(site: &Site) -> Vec<Peer> {
    let gateway = site.gateway().public();
    let mut event_stream = Peer::asking(gateway, "GET", "/sse/sensors/").await.unwrap();
    event_stream.read_head().await.unwrap();
    let socket = Peer::socket(gateway, "/ws/sensors/?v=1&sensor=*").await.unwrap();
    site.sessions(2).await;
    vec![event_stream, socket]
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_readers_fall_behind_stay_and_cost_nothing() {
    let site = Site::start(&PATIENCE).await;
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
        // longer than the patience, twice
        for _ in 0..2 {
            site.rests().await;
            site.serves().await;
        }
        site.sessions(2).await;
    };
    tokio::select! {
        ended = reading => panic!("a slow reader was ended, after {ended:?} bytes"),
        () = others => {}
    }
    drop(peers);
    site.sessions(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_take_next_to_nothing_are_ended() {
    let site = Site::start(&PATIENCE).await;
    let mut peers = readers(&site).await;
    for _ in 0..10 {
        site.write(2_000, 500);
    }
    let reading = join_all(peers.iter_mut().map(|peer| peer.read_slowly(DRIPPING)));
    let others = async {
        site.rests().await;
        site.serves().await;
        site.sessions(0).await;
        let ended = site.gateway().metric(r#"rowcast_gateway_closes_total{reason="no-pong"}"#).await;
        assert_eq!(ended.unwrap(), 2.0);
    };
    tokio::select! {
        _ = reading => unreachable!("what the kernels hold lasts for hours at this rate"),
        () = others => {}
    }
}
