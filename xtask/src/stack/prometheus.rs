//! A Prometheus beside the services, with the rules of `k8s/monitoring`.

use std::path::Path;

use serde_json::json;

use crate::ports::Ports;

/// The namespace and the release that the rules and dashboards see.
const INSTALLATION: &str = "dev";

/// Its configuration: JSON, which is YAML too.
pub(super) fn config(rules: &Path, ports: Ports) -> String {
    let Ports { admin_port, .. } = ports;
    let services =
        [("ingest", admin_port), ("ws-gateway", admin_port + 1), ("notify-listener", admin_port + 2)];
    let services = services.map(|(name, port)| (name, name.to_owned(), port)).into_iter();
    let further = (2..).zip(ports.further_gateways());
    let further = further.map(|(nth, (_, admin))| ("ws-gateway", format!("ws-gateway-{nth}"), admin));
    // the labels that pods have on a cluster
    let targets: Vec<_> = services
        .chain(further)
        .map(|(component, pod, port)| {
            json!({
                "targets": [format!("127.0.0.1:{port}")],
                "labels": {"namespace": INSTALLATION, "release": INSTALLATION, "component": component, "pod": pod},
            })
        })
        .collect();
    let config = json!({
        "global": {"scrape_interval": "5s", "evaluation_interval": "5s"},
        "rule_files": [rules],
        "scrape_configs": [{"job_name": "rowcast", "static_configs": targets}],
    });
    config.to_string()
}

/// Its arguments; what it stores is deleted after a day.
pub(super) fn arguments(config: &Path, data: &Path, port: u16) -> [String; 4] {
    [
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", data.display()),
        "--storage.tsdb.retention.time=1d".to_owned(),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_process_has_the_labels_of_a_pod() {
        let ports = Ports { gateway_port: 1, ingest_port: 2, admin_port: 9080, gateways: 2 };
        let config: Value = serde_json::from_str(&config(Path::new("/rules.yaml"), ports)).unwrap();
        assert_eq!(config["rule_files"], json!(["/rules.yaml"]));
        let targets = config["scrape_configs"][0]["static_configs"].as_array().unwrap();
        let found: Vec<_> = targets
            .iter()
            .map(|target| (target["targets"][0].as_str(), target["labels"]["pod"].as_str()))
            .collect();
        let expected = [
            ("127.0.0.1:9080", "ingest"),
            ("127.0.0.1:9081", "ws-gateway"),
            ("127.0.0.1:9082", "notify-listener"),
            ("127.0.0.1:9083", "ws-gateway-2"),
        ];
        assert_eq!(found, expected.map(|(target, pod)| (Some(target), Some(pod))));
        assert_eq!(targets[3]["labels"]["component"], "ws-gateway");
    }
}
