//! Answers that nobody reads: what they make a service hold.

use std::time::Duration;

use e2e::http;
use testkit::{cost, hostile::Peer};

use crate::site::Site;

/// Lists that are asked for and not read.
const UNREAD: usize = 24;

/// What each may make ingest hold: two pages, one of them written; an array of 60 MB is never in memory.
const EACH_BYTES: u64 = 4 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_are_not_read_are_not_held_and_those_that_are_read_are_whole() {
    let site = Site::start(&[]).await;
    let ingest = &site.stack.ingest;
    let list = "/api/sensors/?limit=1000";
    http::get(ingest.public(), "/api/sensors/").await.unwrap();
    site.write(1_000, 60_000);
    let before = cost::resident(ingest.process.id()).unwrap();
    let mut peers = Vec::new();
    for _ in 0..UNREAD {
        let mut peer = Peer::asking(ingest.public(), "GET", list).await.unwrap();
        let head = peer.read_head().await.unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        peers.push(peer);
    }
    let held = cost::resident(ingest.process.id()).unwrap().saturating_sub(before);
    assert!(held < EACH_BYTES * UNREAD as u64, "{held} bytes for {UNREAD} lists");
    // in HTTP/1.0 there are no chunks to take apart
    let answer =
        http::exchange(ingest.public(), format!("GET {list} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
    let listed: Vec<serde_json::Value> = serde_json::from_str(&answer.body).unwrap();
    let values: Vec<f64> = listed.iter().map(|reading| reading["value"].as_f64().unwrap()).collect();
    let expected: Vec<f64> = (1..=1_000).rev().map(f64::from).collect();
    assert_eq!((answer.status, values), (200, expected));
    // all that are on their way together are bounded, and a refusal says when to come back
    let more = loop {
        let mut peer = Peer::asking(ingest.public(), "GET", list).await.unwrap();
        let head = peer.read_head().await.unwrap();
        peers.push(peer);
        if !head.starts_with("HTTP/1.1 200") || peers.len() > 200 {
            break head;
        }
    };
    assert!(more.starts_with("HTTP/1.1 503") && more.contains("retry-after"), "{more}");
    let peak = cost::peak(ingest.process.id()).unwrap().saturating_sub(before);
    assert!(peak < 160 << 20, "{peak} bytes for {} lists", peers.len());
    drop(peers);
    testkit::wait_for("room for a list", Duration::from_secs(20), || async {
        match http::get(ingest.public(), list).await.unwrap().status {
            200 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    site.serves().await;
}
