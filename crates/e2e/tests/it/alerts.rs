//! Each alert fires in its fault, and resolves after: real processes, rules with shortened times.

use std::time::Duration;

use e2e::{Monitor, Plan, Stack, Traffic, Writers, client, monitor, stack::Running};
use nix::sys::signal::Signal;
use testkit::{proxy::LinkState, wait_for};

use crate::{audit, canary::Canary};

const SOON: Duration = Duration::from_secs(60);

/// Connections that a gateway accepts here.
const CONNECTIONS: (&str, &str) = ("ws-gateway:ROWCAST_LIMITS__CONNECTIONS", "20");

/// The rules with windows of 5 s instead of minutes, hours and days, and conditions that must hold for 1 s. What looks
/// back for an hour, to see what is gone, still does. A few lost connections are many.
fn shortened(rules: &str) -> String {
    let windows = ["2m", "3m", "5m", "10m", "15m", "30m", "1h", "2h", "6h", "1d", "3d"];
    let line = |line: &str| {
        let indent = line.len() - line.trim_start().len();
        if line.trim_start().starts_with("for: ") {
            return format!("{}for: 1s\n", &line[..indent]);
        }
        let looks_back = line.contains("last_over_time");
        let short = windows.iter().filter(|_| !looks_back);
        short.fold(line.to_owned(), |text, window| text.replace(&format!("[{window}]"), "[5s]")) + "\n"
    };
    rules.replace("> 500\n", "> 5\n").lines().map(line).collect()
}

/// Waits until these fire, and checks what they say.
#[track_caller]
fn fire<'a>(monitor: &'a Monitor, fault: &'a str, expected: &'a [&str]) -> impl Future<Output = ()> + 'a {
    let firing = async move || {
        let firing = monitor.firing().await.map_err(|error| vec![format!("{error:#}")])?;
        let missing = expected.iter().filter(|alert| !firing.contains_key(**alert));
        let missing: Vec<_> = missing.map(|alert| (*alert).to_owned()).collect();
        if missing.is_empty() { Ok(firing) } else { Err(missing) }
    };
    let firing = wait_for(fault, SOON, firing);
    async move {
        for (name, alert) in firing.await {
            let (labels, says) = (&alert["labels"], &alert["annotations"]);
            assert_eq!(labels["namespace"], monitor::INSTALLATION, "{name}");
            assert_eq!(labels["release"], monitor::INSTALLATION, "{name}");
            assert!(["critical", "warning"].iter().any(|severity| labels["severity"] == *severity), "{name}");
            assert_eq!(says["runbook_url"], format!("docs/runbooks/{name}.md"));
            // a label that does not exist would leave its place empty
            let text = says["description"].as_str().unwrap();
            assert!(!text.contains("<no value>") && !text.contains("  "), "{name}: {text}");
        }
    }
}

#[track_caller]
fn resolve<'a>(monitor: &'a Monitor, fault: &'a str) -> impl Future<Output = ()> + 'a {
    wait_for(fault, SOON, async move || {
        let firing = monitor.firing().await.map_err(|error| vec![format!("{error:#}")])?;
        if firing.is_empty() { Ok(()) } else { Err(firing.into_keys().collect::<Vec<_>>()) }
    })
}

struct Scene {
    stack: Stack,
    monitor: Monitor,
    _traffic: Traffic,
    _canary: Canary,
}

impl Scene {
    /// Two gateways and one listener, so that the leader has no successor.
    async fn begin() -> Self {
        let stack = Stack::start_with(Plan { gateways: 2, listeners: 1 }, &[CONNECTIONS]).await.unwrap();
        let gateways: Vec<_> = stack.gateways.iter().map(Running::public).collect();
        let ingest = stack.ingest.public();
        let traffic = Traffic::begin(&gateways, || Writers::devices(0..2, ingest)).await;
        let canary = Canary::start(&stack);
        let rules = shortened(&monitor::rules().unwrap());
        let monitor = Monitor::start(&stack, &[canary.target()], &rules).unwrap();
        let scene = Self { stack, monitor, _traffic: traffic, _canary: canary };
        scene.healthy("at the start").await;
        scene
    }

    /// Waits until everything is scraped, every rule was evaluated, and nothing fires.
    async fn healthy(&self, when: &str) {
        let up = "count(up == 1) == 5";
        wait_for("all targets", SOON, async || match self.monitor.query(up).await {
            Ok(series) if !series.is_empty() => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        resolve(&self.monitor, when).await;
    }

    fn to_redis(&self, state: LinkState) {
        let links = self.stack.gateways.iter().chain(&self.stack.listeners);
        links.filter_map(|service| service.to_redis.as_ref()).for_each(|link| link.set(state));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_of_processes_fire_in_their_fault_and_resolve() {
    let mut scene = Scene::begin().await;

    scene.stack.listeners[0].process.kill().unwrap();
    let expected =
        ["RowcastNoLeader", "RowcastComponentMissing", "RowcastTargetDown", "RowcastReadingsStopped"];
    fire(&scene.monitor, "the leader is killed without a successor", &expected).await;
    scene.stack.listeners[0].process.restart().unwrap();
    scene.healthy("a leader again").await;

    scene.stack.gateways[0].process.kill().unwrap();
    fire(&scene.monitor, "a gateway is killed", &["RowcastTargetDown"]).await;
    scene.stack.gateways[0].process.restart().unwrap();
    scene.healthy("the gateway again").await;

    scene.stack.listeners[0].process.signal(Signal::SIGSTOP).unwrap();
    fire(&scene.monitor, "the leader is frozen", &["RowcastTargetDown", "RowcastReadingsStopped"]).await;
    scene.stack.listeners[0].process.signal(Signal::SIGCONT).unwrap();
    fire(&scene.monitor, "what it forwards then is late", &["RowcastReadingsLate"]).await;
    scene.healthy("it has caught up").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_of_databases_and_clients_fire_in_their_fault_and_resolve() {
    let scene = Scene::begin().await;

    scene.to_redis(LinkState::Cut);
    let expected = ["RowcastReadingsStopped", "RowcastConditionFails", "RowcastCanaryFailing"];
    fire(&scene.monitor, "Redis is gone", &expected).await;
    scene.to_redis(LinkState::Open);
    scene.healthy("Redis again").await;

    let to_postgres = &scene.stack.ingest.to_postgres;
    to_postgres.set(LinkState::Cut);
    fire(&scene.monitor, "ingest has lost Postgres", &["RowcastPostsFail"]).await;
    to_postgres.set(LinkState::Open);
    scene.healthy("Postgres again").await;

    let mut sockets = Vec::new();
    for _ in 0..18 {
        sockets.push(client::connect_v1(scene.stack.gateways[0].public()).await.unwrap());
    }
    let expected = ["RowcastConnectionsNearLimit", "RowcastGatewaysImbalanced"];
    fire(&scene.monitor, "a gateway is nearly full", &expected).await;
    drop(sockets);
    scene.healthy("room again").await;

    for _ in 0..60 {
        drop(client::connect_v1(scene.stack.gateways[1].public()).await.unwrap());
    }
    fire(&scene.monitor, "clients come and go", &["RowcastReconnectStorm"]).await;
    scene.healthy("quiet again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_was_removed_by_hand_raises_an_alert() {
    let stack = Stack::start(Plan { gateways: 2, listeners: 1 }).await.unwrap();
    let monitor = Monitor::start(&stack, &[], &shortened(&monitor::rules().unwrap())).unwrap();
    audit::post(&stack, "zero").await;
    let scraped = "sum(rowcast_gateway_taken_readings_total) == 2";
    wait_for("the first reading, on both gateways", SOON, async || match monitor.query(scraped).await {
        Ok(series) if !series.is_empty() => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    audit::lose_an_entry(&stack, 0).await;
    fire(&monitor, "an entry is missing", &["RowcastAuditMismatch"]).await;
    resolve(&monitor, "the feed has begun anew").await;
}
