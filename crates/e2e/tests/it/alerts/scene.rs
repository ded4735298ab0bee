//! An installation under load, and a Prometheus with the rules, in shortened times, that watches it.

use std::time::Duration;

use e2e::{Monitor, Plan, Stack, Traffic, Writers, monitor, stack::Running};
use serde_json::Value;
use testkit::{proxy::LinkState, wait_for};

use crate::canary::Canary;

pub(super) const SOON: Duration = Duration::from_secs(60);

/// Connections that a gateway accepts here.
const CONNECTIONS: (&str, &str) = ("ws-gateway:ROWCAST_LIMITS__CONNECTIONS", "20");

/// The least queue that ingest takes.
const QUEUE: (&str, &str) = ("ingest:ROWCAST_INGEST__QUEUE_BYTES", "1048576");

/// What is much in an installation as small as this.
const THRESHOLDS: [(&str, &str); 7] = [
    // connections that were lost
    ("> 500\n", "> 5\n"),
    // slow clients
    ("> 20\n", "> 2\n"),
    // changes of leadership
    ("> 6\n", "> 3\n"),
    // failures of the upkeep
    ("> 3\n", "> 0\n"),
    // readings that wait for the leader
    ("10000", "100"),
    // readings that a gateway has still to take, and seconds of them
    ("1000 + 60 *", "100 + 1 *"),
    // of 8 GiB of notifications
    ("usage_ratio{release!=\"\"}) > 0.3\n", "usage_ratio{release!=\"\"}) > 0.0001\n"),
];

/// The rules with windows of 5 s instead of minutes, hours and days, and conditions that must hold for 1 s. What looks
/// back for an hour, to see what is gone, still does; leaders may change within 20 s.
pub(super) fn shortened() -> String {
    let windows = ["2m", "3m", "5m", "10m", "15m", "30m", "1h", "2h", "6h", "1d", "3d"];
    let line = |line: &str| {
        let indent = line.len() - line.trim_start().len();
        if line.trim_start().starts_with("for: ") {
            return format!("{}for: 1s\n", &line[..indent]);
        }
        let looks_back = line.contains("last_over_time");
        let within = if line.contains("changes(") { "[20s]" } else { "[5s]" };
        let short = windows.iter().filter(|_| !looks_back);
        short.fold(line.to_owned(), |text, window| text.replace(&format!("[{window}]"), within)) + "\n"
    };
    let rules: String = monitor::rules().unwrap().lines().map(line).collect();
    THRESHOLDS.iter().fold(rules, |text, (long, short)| {
        assert!(text.contains(long), "no rule has the threshold {long}");
        text.replace(long, short)
    })
}

/// Waits until these fire, and checks what they say.
#[track_caller]
pub(super) fn fire<'a>(
    monitor: &'a Monitor,
    fault: &'a str,
    expected: &'a [&str],
) -> impl Future<Output = ()> + 'a {
    let firing = async move || {
        let firing = monitor.firing().await.map_err(|error| vec![format!("{error:#}")])?;
        let missing = expected.iter().filter(|alert| !firing.contains_key(**alert));
        let missing: Vec<_> = missing.map(|alert| (*alert).to_owned()).collect();
        if missing.is_empty() { Ok(firing) } else { Err(missing) }
    };
    let firing = wait_for(fault, SOON, firing);
    async move {
        for (name, alert) in firing.await {
            check(&name, &alert);
        }
    }
}

/// Labels, the runbook's address and the description.
fn check(name: &str, alert: &Value) {
    let (labels, says) = (&alert["labels"], &alert["annotations"]);
    assert_eq!(labels["namespace"], monitor::INSTALLATION, "{name}");
    assert_eq!(labels["release"], monitor::INSTALLATION, "{name}");
    assert!(["critical", "warning"].iter().any(|severity| labels["severity"] == *severity), "{name}");
    assert_eq!(says["runbook_url"], format!("docs/runbooks/{name}.md"));
    // a label that does not exist would leave its place empty
    let text = says["description"].as_str().unwrap();
    assert!(!text.contains("<no value>") && !text.contains("  "), "{name}: {text}");
}

/// Waits until nothing fires.
#[track_caller]
pub(super) fn resolve<'a>(monitor: &'a Monitor, fault: &'a str) -> impl Future<Output = ()> + 'a {
    wait_for(fault, SOON, async move || {
        let firing = monitor.firing().await.map_err(|error| vec![format!("{error:#}")])?;
        if firing.is_empty() { Ok(()) } else { Err(firing.into_keys().collect::<Vec<_>>()) }
    })
}

/// Waits until an expression has a value.
#[track_caller]
pub(super) fn seen<'a>(monitor: &'a Monitor, expression: &'a str) -> impl Future<Output = ()> + 'a {
    wait_for(expression, SOON, async move || match monitor.query(expression).await {
        Ok(series) if !series.is_empty() => Ok(()),
        other => Err(format!("{other:?}")),
    })
}

pub(super) struct Scene {
    pub(super) stack: Stack,
    pub(super) monitor: Monitor,
    /// Two devices that write without a pause, and a client of each gateway.
    pub(super) traffic: Option<Traffic>,
    _canary: Canary,
}

impl Scene {
    /// Two gateways and one listener, so that the leader has no successor.
    pub(super) async fn begin() -> Self {
        let scene = Self::of(Plan { gateways: 2, listeners: 1 }).await;
        scene.healthy("at the start").await;
        scene
    }

    /// Without waiting until all is well.
    pub(super) async fn of(plan: Plan) -> Self {
        Self::start_with(plan, &[]).await
    }

    /// The same with additional environment variables of the services.
    pub(super) async fn start_with(plan: Plan, env: &[(&str, &str)]) -> Self {
        let env = [&[CONNECTIONS, QUEUE], env].concat();
        let stack = Stack::start_with(plan, &env).await.unwrap();
        let gateways: Vec<_> = stack.gateways.iter().map(Running::public).collect();
        let ingest = stack.ingest.public();
        let traffic = Traffic::begin(&gateways, || Writers::devices(0..2, ingest)).await;
        let canary = Canary::start(&stack);
        let monitor = Monitor::start(&stack, &[canary.target()], &shortened()).unwrap();
        Self { stack, monitor, traffic: Some(traffic), _canary: canary }
    }

    /// Waits until these fire, and checks what they say.
    #[track_caller]
    pub(super) fn fire<'a>(&'a self, fault: &'a str, expected: &'a [&str]) -> impl Future<Output = ()> + 'a {
        fire(&self.monitor, fault, expected)
    }

    /// Waits until everything is scraped, every rule was evaluated, and nothing fires.
    pub(super) async fn healthy(&self, when: &str) {
        let services = self.stack.services().count();
        // and the canary
        seen(&self.monitor, &format!("count(up == 1) == {}", services + 1)).await;
        resolve(&self.monitor, when).await;
    }

    pub(super) fn to_redis(&self, state: LinkState) {
        let links = self.stack.gateways.iter().chain(&self.stack.listeners);
        links.filter_map(|service| service.to_redis.as_ref()).for_each(|link| link.set(state));
    }
}
