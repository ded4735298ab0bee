//! Clients over WebSocket.

use std::time::Duration;

use futures_util::future::join_all;
use testkit::{
    cost,
    hostile::{PING, Peer, TEXT_BEGIN, TEXT_END, frame, text},
};

use crate::site::Site;

/// The memory that a gateway may hold in these tests, with what its allocator keeps.
const HELD: u64 = 48 << 20;

const FLOOD: Duration = Duration::from_secs(4);

/// Three clients send the same for seconds and never read.
async fn check_flood(bytes: &[u8]) {
    let site = Site::start(&[]).await;
    let pid = site.gateway().process.id();
    let before = cost::resident(pid).unwrap();
    let mut peers = Vec::new();
    for _ in 0..3 {
        peers.push(Peer::socket(site.gateway().public(), "/ws/sensors/?v=1").await.unwrap());
    }
    join_all(peers.iter_mut().map(|peer| peer.flood(bytes, FLOOD))).await;
    let held = cost::peak(pid).unwrap().saturating_sub(before);
    assert!(held < HELD, "{held} bytes for 3 clients");
    site.check_idle().await;
    site.serves().await;
    drop(peers);
    site.sessions(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_that_are_never_read_are_answered_within_bounds() {
    check_flood(&frame(PING, 0, b"")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_whose_answers_are_never_read_are_bounded() {
    check_flood(&text(r#"{"id":1,"publish":{}}"#)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_commands_in_a_message_are_bounded() {
    check_flood(&text(&format!("[{}]", vec!["{}"; 400].join(",")))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_unlimited_commands_a_client_that_does_not_read_is_not_read_either() {
    let site = Site::start(&[("ws-gateway:ROWCAST_LIMITS__COMMANDS_PER_S", "100000000")]).await;
    let pid = site.gateway().process.id();
    let before = cost::resident(pid).unwrap();
    let mut peers = Vec::new();
    for _ in 0..3 {
        peers.push(Peer::socket(site.gateway().public(), "/ws/sensors/?v=1").await.unwrap());
    }
    let command = text(r#"{"id":1,"publish":{}}"#);
    // until the socket buffers are full
    join_all(peers.iter_mut().map(|peer| peer.flood(&command, FLOOD))).await;
    let more = join_all(peers.iter_mut().map(|peer| peer.flood(&command, FLOOD))).await;
    assert_eq!(more, [0; 3], "bytes read from clients that do not read");
    let held = cost::peak(pid).unwrap().saturating_sub(before);
    assert!(held < HELD, "{held} bytes for 3 clients");
    site.sessions(3).await;
    site.check_idle().await;
    site.serves().await;
    drop(peers);
    site.sessions(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn false_lengths_end_one_connection_and_leave_nothing_behind() {
    let site = Site::start(&[]).await;
    for length in [u64::MAX, u64::MAX - 1, 1 << 63, 1 << 32] {
        let mut peer = Peer::socket(site.gateway().public(), "/ws/sensors/").await.unwrap();
        peer.send(&[frame(TEXT_BEGIN, 1, b"x"), frame(TEXT_END, length, b"")].concat()).await.unwrap();
        assert!(peer.read_to_end(Duration::from_secs(5)).await.is_some(), "{length}");
    }
    site.sessions(0).await;
    site.serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_causes_no_busy_loop_in_any_mode() {
    let site = Site::start(&[]).await;
    let gateway = site.gateway().public();
    let mut peers = Vec::new();
    for path in [
        "/ws/sensors/",
        "/ws/sensors/?v=1&from=now",
        "/ws/sensors/?v=1&mode=latest",
        "/ws/sensors/?v=1&mode=latest&max_rate=10",
        "/ws/sensors/?v=1&from=latest",
        "/ws/sensors/?v=1&last=10m",
    ] {
        peers.push(Peer::socket(gateway, path).await.unwrap());
        peers.push(Peer::requesting(gateway, "GET", &path.replace("/ws/", "/sse/")).await.unwrap());
    }
    for _ in 0..10 {
        site.write(2_000, 500);
    }
    site.serves().await;
    site.check_idle().await;
    drop(peers);
    site.sessions(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_before_all_times_is_answered_and_does_not_delay_others() {
    let site = Site::start(&[]).await;
    site.write(10, 0);
    let mut peers = Vec::new();
    for _ in 0..8 {
        let mut peer = Peer::socket(site.gateway().public(), "/ws/sensors/?v=1").await.unwrap();
        peer.send(&text(r#"{"id":1,"subscribe":{"from":{"last":"10000y"}}}"#)).await.unwrap();
        peers.push(peer);
    }
    for peer in &mut peers {
        peer.read_until(r#""live":{"pos""#).await.unwrap();
    }
    site.serves().await;
}

/// CPU time that a gateway may spend on all of these floods; reading each for two seconds takes several times as much.
const FLOODS_CPU: Duration = Duration::from_millis(1_800);

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_not_read_to_its_end_when_its_connection_ends() {
    let site = Site::start(&[]).await;
    let pid = site.gateway().process.id();
    for bytes in [frame(PING, 0, b""), text("{}"), frame(0x82, 1, b"x")] {
        let before = cost::cpu(pid).unwrap();
        let mut peers = Vec::new();
        for _ in 0..20 {
            peers.push(Peer::socket(site.gateway().public(), "/ws/sensors/?v=1").await.unwrap());
        }
        join_all(peers.iter_mut().map(|peer| peer.flood(&bytes, FLOOD))).await;
        drop(peers);
        site.sessions(0).await;
        let spent = cost::cpu(pid).unwrap() - before;
        assert!(spent < FLOODS_CPU, "{spent:?} for {:?}", bytes.escape_ascii().to_string());
    }
    site.serves().await;
}
