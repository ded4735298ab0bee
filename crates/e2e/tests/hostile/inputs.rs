//! More than a thousand bad inputs, generated from tables: each gets its specified answer, and none leaves anything behind.

mod bodies;
mod commands;
mod framing;
mod queries;

use std::{net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use testkit::hostile::{Peer, text};

use crate::site::Site;

/// No answer to a bad input takes longer, except where a deadline is the answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// Inputs under way at once.
const AT_ONCE: usize = 50;

/// The status of the first response to these bytes on a connection of their own; 0 if it is closed without one.
async fn status(addr: SocketAddr, bytes: &[u8]) -> u16 {
    let Ok(mut peer) = Peer::sending(addr, bytes).await else { return 0 };
    let head = tokio::time::timeout(ANSWERED_WITHIN, peer.read_head()).await.expect("an answer in time");
    let head = head.unwrap_or_default();
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// Sends all inputs, some at a time, and fails with the answers that were not as specified.
async fn check(inputs: Vec<(SocketAddr, Vec<u8>, &'static [u16])>) -> usize {
    let count = inputs.len();
    let mut inputs = inputs.into_iter().peekable();
    while inputs.peek().is_some() {
        let some: Vec<_> = inputs.by_ref().take(AT_ONCE).collect();
        let answers = join_all(some.iter().map(|(addr, bytes, _)| status(*addr, bytes))).await;
        for ((_, bytes, expected), status) in some.iter().zip(answers) {
            let bytes = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
            assert!(expected.contains(&status), "{status} and not {expected:?} to {bytes:?}");
        }
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_bad_requests_are_answered_as_specified_and_change_nothing() {
    let site = Site::start(&[]).await;
    let (ingest, gateway) = (site.stack.ingest.public(), site.gateway().public());
    let mut inputs = Vec::new();
    for service in site.stack.services() {
        for (addr, path) in [(service.http, "/api/sensors/"), (Some(service.admin), "/livez")] {
            let Some(addr) = addr else { continue };
            inputs.extend(framing::all(path).into_iter().map(|(bytes, expected)| (addr, bytes, expected)));
        }
    }
    let post = |body: &[u8], headers: &str| {
        let head = format!(
            "POST /api/sensors/ HTTP/1.1\r\nhost: a\r\n{headers}content-length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    for (body, expected) in bodies::all() {
        for media in
            ["", "content-type: application/json\r\n", "content-type: application/json; charset=utf-8\r\n"]
        {
            inputs.push((ingest, post(body.as_bytes(), media), expected));
        }
        // bodies that are not compressed as declared
        for coding in ["gzip", "zstd"] {
            inputs.push((
                ingest,
                post(body.as_bytes(), &format!("content-encoding: {coding}\r\n")),
                &[400, 413],
            ));
        }
        inputs.push((ingest, post(body.as_bytes(), "content-type: text/plain\r\n"), &[415]));
        inputs.push((ingest, post(body.as_bytes(), "content-encoding: br\r\n"), &[415]));
    }
    for (path, expected) in queries::all() {
        inputs.push((gateway, format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").into_bytes(), expected));
    }
    let count = check(inputs).await;
    assert!(count > 1_000, "{count}");
    assert_eq!(site.stack.psql("select count(*) from sensor_readings"), "0");
    site.sessions(0).await;
    site.serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_frames_and_commands_are_answered_as_specified_and_leave_nothing_behind() {
    let site = Site::start(&[]).await;
    let gateway = site.gateway().public();
    let closes = commands::closes();
    // each waits a moment for the peer's own close
    join_all(closes.iter().map(|(bytes, code)| async move {
        let mut peer = Peer::socket(gateway, "/ws/sensors/?v=1").await.unwrap();
        peer.send(bytes).await.unwrap();
        let close = peer.read_until(&format!(r#""bye":{{"code":{code},"#)).await;
        close.unwrap_or_else(|error| panic!("{bytes:x?}: {error}"));
        assert!(peer.read_to_end(ANSWERED_WITHIN).await.is_some(), "{bytes:x?}");
    }))
    .await;
    let errors = commands::errors();
    let mut peer = Peer::socket(gateway, "/ws/sensors/?v=1").await.unwrap();
    for (bytes, code) in &errors {
        peer.send(&text(bytes)).await.unwrap();
        let answer = peer.read_until(r#""retry":"#).await.unwrap_or_else(|error| panic!("{bytes}: {error}"));
        assert!(answer.contains(&format!(r#"{{"id":1,"error":{{"code":"{code}""#)), "{bytes}: {answer}");
    }
    assert!(closes.len() + errors.len() > 80);
    drop(peer);
    site.sessions(0).await;
    site.serves().await;
}
