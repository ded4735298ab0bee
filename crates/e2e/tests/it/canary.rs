//! `rowcast canary` beside a healthy installation, and beside faults.

use std::{net::SocketAddr, time::Duration};

use e2e::{Plan, Stack, http, stack};
use testkit::{
    Process, postgres::free_port, process::Program, prometheus::Target, proxy::LinkState, wait_for,
};

const SOON: Duration = Duration::from_secs(30);

pub(crate) struct Canary {
    _process: Process,
    addr: SocketAddr,
    gateways: Vec<String>,
}

impl Canary {
    /// Sends ten readings a second; what takes longer than two seconds is lost.
    pub(crate) fn start(stack: &Stack) -> Self {
        let addr = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
        let gateways: Vec<String> =
            stack.gateways.iter().map(|gateway| format!("http://{}", gateway.public())).collect();
        let ingest = format!("http://{}", stack.ingest.public());
        let program = Program::new(stack::binary("rowcast").unwrap(), stack.logs().join("canary.log"));
        let program = program
            .args(["canary", "--every", "100ms", "--lost-after", "2s", "--ingest", &ingest])
            .env("ROWCAST_GATEWAY_URLS", gateways.join(","))
            .env("ROWCAST_ADMIN__ADDR", addr.to_string());
        Self { _process: Process::start(program).unwrap(), addr, gateways }
    }

    /// As Prometheus scrapes it.
    pub(crate) fn target(&self) -> Target {
        Target { component: "canary".to_owned(), pod: "canary-0".to_owned(), admin: self.addr }
    }

    async fn metric(&self, name: &str) -> Result<f64, String> {
        let answer = http::get(self.addr, "/metrics").await.map_err(|error| format!("{error:#}"))?;
        let value =
            answer.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.ok_or_else(|| format!("there is no {name}"))
    }

    /// Waits until a metric is more than this.
    async fn exceeds(&self, before: f64, name: &str) {
        wait_for(name, SOON, async || match self.metric(name).await {
            Ok(now) if now > before => Ok(()),
            other => Err(other),
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_canary_tells_by_step_what_fails() {
    let mut stack = Stack::start(Plan { gateways: 2, listeners: 1 }).await.unwrap();
    let canary = Canary::start(&stack);
    for gateway in &canary.gateways {
        canary
            .exceeds(0.0, &format!("rowcast_canary_round_trip_seconds_count{{gateway=\"{gateway}\"}}"))
            .await;
        for metric in ["lost_total", "out_of_order_total"] {
            let name = format!("rowcast_canary_{metric}{{gateway=\"{gateway}\"}}");
            assert_eq!(canary.metric(&name).await, Ok(0.0), "{name}");
        }
    }
    for step in ["post", "connect", "receive"] {
        let name = format!("rowcast_canary_failures_total{{step=\"{step}\"}}");
        assert_eq!(canary.metric(&name).await, Ok(0.0), "{name}");
    }

    // stored, and not delivered
    let to_redis = stack.listeners[0].to_redis.as_ref().unwrap();
    to_redis.set(LinkState::Cut);
    canary.exceeds(0.0, &format!("rowcast_canary_lost_total{{gateway=\"{}\"}}", canary.gateways[0])).await;
    to_redis.set(LinkState::Open);

    stack.gateways[1].process.kill().unwrap();
    canary.exceeds(0.0, "rowcast_canary_failures_total{step=\"receive\"}").await;
    canary.exceeds(0.0, "rowcast_canary_failures_total{step=\"connect\"}").await;
    let arrived = format!("rowcast_canary_round_trip_seconds_count{{gateway=\"{}\"}}", canary.gateways[1]);
    let before = canary.metric(&arrived).await.unwrap();
    stack.gateways[1].process.restart().unwrap();
    canary.exceeds(before, &arrived).await;

    stack.ingest.to_postgres.set(LinkState::Cut);
    canary.exceeds(0.0, "rowcast_canary_failures_total{step=\"post\"}").await;
    let before = canary.metric("rowcast_canary_sent_total").await.unwrap();
    stack.ingest.to_postgres.set(LinkState::Open);
    canary.exceeds(before, "rowcast_canary_sent_total").await;
}
