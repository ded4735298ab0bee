//! The page of metrics is what the services export.

use std::collections::{BTreeMap, BTreeSet};

use e2e::{Plan, Stack, http, stack::Running};

/// A metric of the page, or of a scrape.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Metric {
    kind: String,
    help: String,
}

/// The page's metrics, and of each label with values all series that must exist, by the metric's name.
#[derive(Debug, Default)]
struct Page {
    metrics: BTreeMap<String, Metric>,
    series: BTreeMap<String, Vec<String>>,
}

/// The rows of these parts.
fn page(parts: &[&str]) -> Page {
    let text = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/METRICS.md");
    let text = std::fs::read_to_string(text).unwrap();
    let mut page = Page::default();
    for part in parts {
        let (_, rows) =
            text.split_once(&format!("\n## {part}\n")).unwrap_or_else(|| panic!("no part {part}"));
        let rows = rows.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| `"));
        for row in rows {
            let [name, kind, labels, help] = row.splitn(5, " | ").collect::<Vec<_>>()[..] else {
                panic!("{row}")
            };
            let name = name.trim_matches(['|', ' ', '`']).to_owned();
            if let Some((label, values)) = labels.split_once(": ") {
                let series =
                    |value: &str| format!("{}=\"{}\"", label.trim_matches('`'), value.trim_matches('`'));
                page.series.insert(name.clone(), values.split(", ").map(series).collect());
            }
            let help = help.trim_end_matches(" |").replace("\\|", "|");
            page.metrics.insert(name, Metric { kind: kind.to_owned(), help });
        }
    }
    page
}

fn metrics(scrape: &str) -> BTreeMap<String, Metric> {
    let help = scrape.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    let help: BTreeMap<_, _> = help.collect();
    let kinds = scrape.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    kinds
        .map(|(name, kind)| (name.to_owned(), Metric { kind: kind.to_owned(), help: help[name].to_owned() }))
        .collect()
}

/// The service exports what these parts of the page have, neither less nor more.
async fn check(service: &Running, parts: &[&str]) {
    let page = page(parts);
    let scrape = http::get(service.admin, "/metrics").await.unwrap().body;
    assert_eq!(metrics(&scrape), page.metrics, "{parts:?}");
    for (name, series) in page.series {
        for labels in series {
            let is_it = |line: &str| line.starts_with(&name) && line.contains(&labels);
            assert!(scrape.lines().any(is_it), "no {name}{{{labels}}}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_metrics_is_what_the_services_export() {
    let stack = Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap();
    // the duration of requests appears with the first
    for service in [&stack.ingest, &stack.gateways[0]] {
        http::get(service.public(), "/nothing").await.unwrap();
    }
    let all = ["Every service", "The process", "Postgres"];
    check(&stack.ingest, &[&all[..], &["The public port", "Credentials", "ingest"]].concat()).await;
    check(
        &stack.gateways[0],
        &[&all[..], &["The public port", "Credentials", "Redis", "ws-gateway"]].concat(),
    )
    .await;
    let listener = ["Notifications of Postgres", "Redis", "notify-listener"];
    check(&stack.listeners[0], &[&all[..], &listener].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_label_has_a_value_that_a_client_sent() {
    let stack = Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap();
    let planted = "planted-7f3a";
    for service in [&stack.ingest, &stack.gateways[0]] {
        for path in [format!("/{planted}"), format!("/api/sensors/{planted}/?{planted}={planted}")] {
            http::get(service.public(), &path).await.unwrap();
        }
        let method = format!("{planted} / HTTP/1.1\r\nhost: {planted}\r\nconnection: close\r\n\r\n");
        http::exchange(service.public(), method.as_bytes()).await.unwrap();
    }
    let body = format!(r#"{{"sensor_id":"{planted}","value":1}}"#);
    assert_eq!(http::post(stack.ingest.public(), "/api/sensors/", &body).await.unwrap().status, 201);
    for service in stack.services() {
        let scrape = http::get(service.admin, "/metrics").await.unwrap().body;
        let lines: BTreeSet<&str> = scrape.lines().filter(|line| line.contains(planted)).collect();
        assert!(lines.is_empty(), "{lines:?}");
    }
}
