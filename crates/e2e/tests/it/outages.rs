//! Two gateways behind a real nginx, while Postgres or Redis is unreachable for as long as a failover takes, or longer.

use std::time::Duration;

use e2e::{
    Plan, Stack, Traffic, Writers, http,
    stack::{DATABASE, Running},
};
use testkit::{Nginx, Proxy, proxy::LinkState};
use tokio::time::{Instant, sleep};

/// How long a server is unreachable; nginx gives up waiting for an answer and closes an idle socket after 60 s.
fn outage_length() -> Duration {
    Duration::from_secs(if std::env::var_os("ROWCAST_TESTS_FULL").is_some() { 70 } else { 15 })
}

/// The pause between two POSTs of the device that checks its answers.
const PACE: Duration = Duration::from_millis(500);

/// Makes a server unreachable for every service, and reachable again.
async fn outage(
    stack: &Stack,
    link: impl Fn(&Running) -> Option<&Proxy>,
    state: LinkState,
    posts: impl AsyncFn(),
) {
    let links: Vec<&Proxy> = stack.services().filter_map(&link).collect();
    links.iter().for_each(|link| link.set(state));
    let until = Instant::now() + outage_length();
    while Instant::now() < until {
        posts().await;
        sleep(PACE).await;
    }
    links.iter().for_each(|link| link.set(LinkState::Open));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_socket_is_lost_and_every_post_is_answered_while_a_server_is_unreachable() {
    let stack = Stack::start(Plan { gateways: 2, listeners: 2 }).await.unwrap();
    let gateways: Vec<_> = stack.gateways.iter().map(Running::public).collect();
    let nginx = Nginx::start(stack.ingest.public(), &gateways).unwrap();
    let database = stack.postgres.url(DATABASE);
    let traffic = Traffic::begin(&[nginx.addr(); 6], || Writers::start(2, nginx.addr(), &database)).await;
    let post = async |expected: u16| {
        let answer =
            http::post(nginx.addr(), "/api/sensors/", r#"{"sensor_id":"watch","value":1}"#).await.unwrap();
        assert_eq!(answer.status, expected, "{answer:?}");
        if expected == 503 {
            // the service's answer, and not nginx's
            assert_eq!(answer.json()["type"], "urn:rowcast:problem:store-unavailable", "{answer:?}");
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
        }
    };
    for (state, what) in [(LinkState::Cut, "cut off"), (LinkState::Frozen, "silent")] {
        outage(&stack, |service| Some(&service.to_postgres), state, async || post(503).await).await;
        traffic.progress(&format!("readings after Postgres was {what}")).await;
        outage(&stack, |service| service.to_redis.as_ref(), state, async || post(201).await).await;
        traffic.progress(&format!("readings after Redis was {what}")).await;
    }
    for client in traffic.clients() {
        assert_eq!(client.received(|received| received.connections), 1, "a socket was lost");
    }
    for gateway in &stack.gateways {
        assert!(gateway.metric("rowcast_gateway_sessions").await.unwrap() > 0.0, "both serve");
    }
    let written = traffic.stop().await;
    let committed = stack.psql("select id from sensor_readings");
    let committed = committed.lines().map(|id| id.parse().unwrap()).collect();
    written.check(&committed).await.unwrap();
}
