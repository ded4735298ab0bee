//! All kinds of hostile peers at once: memory stays within the chart's limits, and other clients are served nearly as
//! before.

use std::{net::SocketAddr, path::Path, time::Duration};

use e2e::{client, http};
use futures_util::future::join_all;
use testkit::{
    cost,
    hostile::{PING, Peer, TEXT, frame, text},
};
use tokio::time::Instant;

use crate::{idle, site::Site};

/// The measured round trips of another client.
const ROUND_TRIPS: usize = 200;

/// How much longer the slowest of a hundred round trips may take beside the crowd. It shares two cores with these services,
/// and the crowd's own CPU time is most of the slowdown.
const SLOWER: f64 = 25.0;

/// Below this, round trips are not compared.
const QUICK: Duration = Duration::from_millis(10);

/// The chart's memory limit of a service.
fn chart_limit(service: &str) -> u64 {
    let values = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/rowcast/values.yaml");
    let values = std::fs::read_to_string(values).unwrap();
    let (_, own) = values.split_once(&format!("\n{service}:\n")).unwrap();
    let (_, limit) = own.split_once("limits: {memory: ").unwrap();
    let (limit, _) = limit.split_once("Mi}").unwrap();
    limit.parse::<u64>().unwrap() << 20
}

/// From a POST to its event at a client of its own: the 99th of a hundred.
async fn round_trip(site: &Site) -> Duration {
    let (mut socket, _) = client::subscribed(site.gateway().public(), r#"{"sensors":["neighbour"]}"#).await;
    let mut times = Vec::new();
    for n in 0..ROUND_TRIPS {
        let body = format!(r#"{{"sensor_id":"neighbour","value":{n}}}"#);
        let began = Instant::now();
        let posted = http::post(site.stack.ingest.public(), "/api/sensors/", &body).await.unwrap();
        assert_eq!(posted.status, 201, "{posted:?}");
        client::messages_until(&mut socket, |message| message.data.is_some()).await;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times[ROUND_TRIPS * 99 / 100]
}

/// Many of one kind, a hundred at a time.
async fn many<T>(count: usize, one: impl AsyncFn(usize) -> T) -> Vec<T> {
    let mut all = Vec::new();
    while all.len() < count {
        let begun = all.len();
        all.extend(join_all((begun..count.min(begun + 100)).map(|n| one(n))).await);
    }
    all
}

/// Heads that are nearly as large as permitted, and have no end. The limit is half as many.
async fn heads(addr: SocketAddr) -> Vec<std::io::Result<Peer>> {
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\ncookie: {}", "c".repeat(15 << 10));
    many(2_000, async |_| Peer::sending(addr, head.as_bytes()).await).await
}

/// Clients that request large responses and read nothing.
async fn unread(addr: SocketAddr, path: &str, count: usize) -> Vec<Peer> {
    many(count, async |_| Peer::requesting(addr, "GET", path).await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_every_kind_fits_into_the_memory_of_the_chart() {
    idle::raise_descriptors();
    let site = Site::start(&[]).await;
    let (ingest, gateway) = (site.stack.ingest.public(), site.gateway().public());
    for _ in 0..100 {
        site.write(1_000, 1_000);
    }
    // ingest's allocator reserves more than that when it starts, without using it: for ingest only the peak is checked
    cost::limit(site.gateway().process.id(), chart_limit("gateway")).unwrap();
    let alone = round_trip(&site).await;

    let body = "POST /api/sensors/ HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1048576\r\n\r\n[";
    let body = format!("{body}{}", " ".repeat(1 << 20)).into_bytes();
    let bodies = many(40, async |_| {
        let mut peer = Peer::connect(ingest).await.unwrap();
        // all but the last byte; one that is refused is not read
        let _ = tokio::time::timeout(Duration::from_secs(5), peer.send(&body[..body.len() - 2])).await;
        peer
    });
    let sockets = many(200, async |n| {
        let mut peer = Peer::socket(gateway, "/ws/sensors/?v=1").await.unwrap();
        let mode = if n % 2 == 0 { "latest" } else { "all" };
        let command = format!(r#"{{"id":1,"subscribe":{{"mode":"{mode}","from":{{"last":"10m"}}}}}}"#);
        peer.send(&text(&command)).await.unwrap();
        peer
    });
    let (bodies, sockets, ingest_heads, gateway_heads) =
        tokio::join!(bodies, sockets, heads(ingest), heads(gateway));
    let messages = many(200, async |_| {
        let mut peer = Peer::socket(gateway, "/ws/sensors/?v=1").await.unwrap();
        peer.send(&frame(TEXT, 60_000, &[b' '; 50_000])).await.unwrap();
        peer
    })
    .await;
    // twice as many patterns as the limit
    let patterns = many(60, async |n| {
        let mut peer = Peer::socket(gateway, "/ws/sensors/?v=1").await.unwrap();
        for command in 0..20 {
            let names: Vec<_> = (0..250).map(|name| format!(r#""{n}-{command}-{name}*""#)).collect();
            peer.send(&text(&format!(r#"{{"id":1,"subscribe":{{"sensors":[{}]}}}}"#, names.join(","))))
                .await
                .unwrap();
        }
        peer
    })
    .await;
    let lists = unread(ingest, "/api/sensors/?limit=1000", 100).await;
    let histories = unread(gateway, "/api/readings?limit=5000", 100).await;
    let streams = unread(gateway, "/sse/sensors/?last=10m", 200).await;
    // their buffers are full, so the gateway does no more work for them
    site.check_idle().await;
    let mut pingers = many(50, async |_| Peer::socket(gateway, "/ws/sensors/").await.unwrap()).await;
    let ping = frame(PING, 0, b"");
    let floods = join_all(pingers.iter_mut().map(|peer| peer.flood(&ping, Duration::from_secs(10))));
    let (_, beside) = tokio::join!(floods, round_trip(&site));
    for _ in 0..20 {
        site.write(1_000, 1_000);
    }
    round_trip(&site).await;

    let limit = alone.max(QUICK).mul_f64(SLOWER);
    assert!(beside < limit, "{beside:?} beside the crowd, {alone:?} without it");
    for (service, name) in [(&site.stack.ingest, "ingest"), (site.gateway(), "gateway")] {
        let (peak, limit) = (cost::peak(service.process.id()).unwrap(), chart_limit(name));
        assert!(peak < limit, "{name}: {peak} of {limit} bytes");
    }
    drop((
        bodies,
        sockets,
        messages,
        patterns,
        ingest_heads,
        gateway_heads,
        lists,
        histories,
        streams,
        pingers,
    ));
    site.sessions(0).await;
    site.check_idle().await;
    site.serves().await;
}
