//! The memory of idle clients, and its release when they have disconnected.

use std::time::Duration;

use futures_util::future::join_all;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use testkit::{
    cost,
    hostile::{Peer, text},
    wait_for,
};

use crate::site::Site;

/// The bound for a client of any protocol. In a release build it is 7 kB; an unoptimised one has larger futures.
const EACH_BYTES: u64 = 9_000;

/// Clients of one protocol; fewer would not be noticeable beside the process' own memory.
const CLIENTS: usize = 3_000;

/// Connections that open at once.
const AT_ONCE: usize = 100;

/// What may remain for each client when all have disconnected.
const LEFT_EACH: u64 = 2_000;

/// How long the process may take to release memory.
const RELEASED_WITHIN: Duration = Duration::from_secs(60);

async fn open(site: &Site, path: &str, command: Option<&str>) -> Peer {
    let gateway = site.gateway().public();
    if path.starts_with("/sse/") {
        let mut peer = Peer::requesting(gateway, "GET", path).await.unwrap();
        peer.read_until("event: live").await.unwrap();
        return peer;
    }
    let mut peer = Peer::socket(gateway, path).await.unwrap();
    if let Some(command) = command {
        peer.send(&text(command)).await.unwrap();
        peer.read_until(r#""ok":{"#).await.unwrap();
    }
    peer
}

/// Each client here is a descriptor of this process, too.
pub(crate) fn raise_descriptors() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_clients_of_every_protocol_are_cheap_and_leave_nothing() {
    raise_descriptors();
    for (path, command) in [
        ("/ws/sensors/", None),
        ("/ws/sensors/?v=1&sensor=x", None),
        ("/ws/sensors/?v=1", Some(r#"{"id":1,"subscribe":{"sensors":["x"]}}"#)),
        ("/sse/sensors/?sensor=x", None),
    ] {
        let site = Site::start(&[]).await;
        let pid = site.gateway().process.id();
        // allocations at the first client are not those of each client
        drop(open(&site, path, command).await);
        site.sessions(0).await;
        let before = cost::resident(pid).unwrap();
        let mut peers = Vec::new();
        while peers.len() < CLIENTS {
            peers.extend(join_all((0..AT_ONCE).map(|_| open(&site, path, command))).await);
        }
        site.sessions(CLIENTS).await;
        let each = cost::resident(pid).unwrap().saturating_sub(before) / CLIENTS as u64;
        assert!(each < EACH_BYTES, "{path}: {each} bytes each");
        drop(peers);
        site.sessions(0).await;
        wait_for("memory to be released", RELEASED_WITHIN, || async {
            let left = cost::resident(pid).unwrap().saturating_sub(before) / CLIENTS as u64;
            if left < LEFT_EACH { Ok(()) } else { Err(format!("{path}: {left} bytes each are left")) }
        })
        .await;
    }
}
