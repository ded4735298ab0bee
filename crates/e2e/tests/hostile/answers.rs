//! Responses that are not read: the memory that a service holds for them.

use std::{net::SocketAddr, time::Duration};

use e2e::http;
use testkit::{cost, hostile::Peer};

use crate::site::Site;

/// Lists that are requested and not read.
const UNREAD: usize = 24;

/// The memory that ingest may hold for each: two pages, one of them written; an array of 60 MB is never in memory.
const EACH_BYTES: u64 = 4 << 20;

/// Requests it and reads heads alone, until one is a refusal, or there are more than could be held.
async fn unread_until_refused(addr: SocketAddr, path: &str, peers: &mut Vec<Peer>) -> String {
    loop {
        let mut peer = Peer::requesting(addr, "GET", path).await.unwrap();
        let head = peer.read_head().await.unwrap();
        peers.push(peer);
        if !head.starts_with("HTTP/1.1 200") || peers.len() > 200 {
            return head;
        }
    }
}

/// Whether a refusal has `Retry-After`.
fn is_retry_later(head: &str) -> bool {
    head.starts_with("HTTP/1.1 503") && head.contains("retry-after")
}

async fn await_budget(addr: SocketAddr, path: &str) {
    testkit::wait_for("budget for a response", Duration::from_secs(20), || async {
        match http::get(addr, path).await.unwrap().status {
            200 => Ok(()),
            other => Err(other),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_are_not_read_are_not_buffered_and_those_that_are_read_are_complete() {
    let site = Site::start(&[]).await;
    let ingest = &site.stack.ingest;
    let list = "/api/sensors/?limit=1000";
    http::get(ingest.public(), "/api/sensors/").await.unwrap();
    site.write(1_000, 60_000);
    let before = cost::resident(ingest.process.id()).unwrap();
    let mut peers = Vec::new();
    for _ in 0..UNREAD {
        let mut peer = Peer::requesting(ingest.public(), "GET", list).await.unwrap();
        let head = peer.read_head().await.unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        peers.push(peer);
    }
    let held = cost::resident(ingest.process.id()).unwrap().saturating_sub(before);
    assert!(held < EACH_BYTES * UNREAD as u64, "{held} bytes for {UNREAD} lists");
    // HTTP/1.0 has no chunks to decode
    let answer =
        http::exchange(ingest.public(), format!("GET {list} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
    let listed: Vec<serde_json::Value> = serde_json::from_str(&answer.body).unwrap();
    let values: Vec<f64> = listed.iter().map(|reading| reading["value"].as_f64().unwrap()).collect();
    let expected: Vec<f64> = (1..=1_000).rev().map(f64::from).collect();
    assert_eq!((answer.status, values), (200, expected));
    // responses in flight are bounded in total, and a refusal has `Retry-After`
    let more = unread_until_refused(ingest.public(), list, &mut peers).await;
    assert!(is_retry_later(&more), "{more}");
    let peak = cost::peak(ingest.process.id()).unwrap().saturating_sub(before);
    assert!(peak < 160 << 20, "{peak} bytes for {} lists", peers.len());
    drop(peers);
    await_budget(ingest.public(), list).await;
    site.serves().await;
}

/// The paths of a gateway whose answers may be megabytes.
async fn large_answers(site: &Site) -> Vec<String> {
    let head = http::get(site.gateway().public(), "/api/changes").await.unwrap();
    let start = head.json()["next"].as_str().unwrap().to_owned();
    site.write(200, 60_000);
    let changes = format!("/api/changes?since={start}&limit=10000");
    let paths = vec![changes, "/api/readings?limit=5000".to_owned(), "/api/latest?limit=5000".to_owned()];
    for path in &paths {
        testkit::wait_for(path, Duration::from_secs(20), || async {
            let answer = http::get(site.gateway().public(), path).await.unwrap();
            if answer.status == 200 && answer.body.len() > 1 << 20 {
                Ok(())
            } else {
                Err((answer.status, answer.body.len()))
            }
        })
        .await;
    }
    paths
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_of_a_gateway_that_are_not_read_are_bounded_in_total() {
    let site = Site::start(&[]).await;
    let gateway = site.gateway();
    let paths = large_answers(&site).await;
    let before = cost::resident(gateway.process.id()).unwrap();
    for path in paths {
        let mut peers = Vec::new();
        let refused = unread_until_refused(gateway.public(), &path, &mut peers).await;
        assert!(peers.len() > 8, "only {} of {path}: {refused}", peers.len());
        assert!(is_retry_later(&refused), "{path}: {refused}");
        drop(peers);
        await_budget(gateway.public(), &path).await;
    }
    let peak = cost::peak(gateway.process.id()).unwrap().saturating_sub(before);
    assert!(peak < 112 << 20, "{peak} bytes");
    site.serves().await;
}
