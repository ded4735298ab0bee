//! Every expression of the dashboards and rules, by a real Prometheus that scrapes real processes.

use std::{
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

use e2e::{Monitor, Plan, Stack, Traffic, Writers, http, monitor};
use serde_json::Value;
use testkit::wait_for;

use crate::canary::Canary;

const SOON: Duration = Duration::from_secs(60);

/// An expression of a panel.
#[derive(Debug)]
struct Shown {
    /// Dashboard, panel, legend.
    place: String,
    expression: String,
    /// Whether the panel says that it shows nothing here: without the Lease.
    may_be_empty: bool,
}

/// All of them, with the variables at what a page over the last ten seconds has.
fn shown() -> Vec<Shown> {
    let folder = monitor::checkout().join("charts/rowcast/dashboards");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let page: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        for panel in page["panels"].as_array().unwrap() {
            let about = panel["description"].as_str().unwrap_or_default();
            for query in panel["targets"].as_array().into_iter().flatten() {
                let expression = query["expr"].as_str().unwrap();
                all.push(Shown {
                    place: [&page["title"], &panel["title"], &query["legendFormat"]]
                        .map(|text| text.as_str().unwrap_or_default())
                        .join(" / "),
                    expression: filled(expression),
                    may_be_empty: about.contains("Empty with `listener.lease=off`"),
                });
            }
        }
    }
    all
}

fn filled(expression: &str) -> String {
    [
        ("$namespace", monitor::INSTALLATION),
        ("$release", monitor::INSTALLATION),
        ("$instance", ".*"),
        ("$__rate_interval", "10s"),
        ("$__range", "10s"),
    ]
    .iter()
    .fold(expression.to_owned(), |text, (name, value)| text.replace(name, value))
}

/// Whether it shows a number at all: a quantile of nothing is none.
fn has_data(series: &[Value]) -> bool {
    series.iter().any(|one| one["value"][1].as_str().is_some_and(|value| value != "NaN"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_of_a_healthy_installation_has_data_and_no_alert_fires() {
    let stack = Stack::start(Plan { gateways: 2, listeners: 2 }).await.unwrap();
    let gateways: Vec<_> = stack.gateways.iter().map(e2e::stack::Running::public).collect();
    let ingest = stack.ingest.public();
    let traffic = Traffic::begin(&gateways, || Writers::devices(0..2, ingest)).await;
    let canary = Canary::start(&stack);
    let monitor = Monitor::start(&stack, &[canary.target()], &monitor::rules().unwrap()).unwrap();
    let shown = shown();
    assert!(shown.len() > 100, "{}", shown.len());
    let all = async || {
        let mut empty = Vec::new();
        for one in shown.iter().filter(|one| !one.may_be_empty) {
            if !has_data(&monitor.query(&one.expression).await.map_err(|error| vec![format!("{error:#}")])?) {
                empty.push(format!("{}: {}", one.place, one.expression));
            }
        }
        if empty.is_empty() { Ok(()) } else { Err(empty) }
    };
    wait_for("data in every panel", SOON, all).await;
    for one in &shown {
        monitor.query(&one.expression).await.unwrap();
    }
    let evaluated = async || {
        let rules = monitor.rules().await.map_err(|error| vec![format!("{error:#}")])?;
        let faults = rules.iter().filter(|rule| rule["health"] != "ok").map(ToString::to_string);
        let faults: Vec<_> = faults.collect();
        if rules.len() > 30 && faults.is_empty() { Ok(()) } else { Err(faults) }
    };
    wait_for("every rule", SOON, evaluated).await;
    assert_eq!(monitor.firing().await.unwrap().into_keys().collect::<Vec<_>>(), Vec::<String>::new());
    traffic.stop().await;
    for service in stack.services() {
        check_metrics(&http::get(service.admin, "/metrics").await.unwrap().body);
    }
}

/// Names, units and help texts as Prometheus' own tool wants them.
fn check_metrics(scrape: &str) {
    let promtool = testkit::prometheus::promtool().expect("`cargo xtask setup` installs promtool");
    let mut command = Command::new(promtool);
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(scrape.as_bytes()).unwrap();
    let ran = child.wait_with_output().unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    assert!(ran.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}
