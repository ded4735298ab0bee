//! What Prometheus and Grafana get: from the chart, and by the manifests of `k8s/monitoring`.

use std::path::Path;

use serde_json::{Value, json};

use crate::{
    pods::{check_resources, check_restricted},
    render::{DEV, NAMESPACE, Objects, RELEASE, list, render, run, text},
};

const RULES: &[&str] = &["prometheusRule.enabled=true"];
const DASHBOARDS: &[&str] = &["dashboards.enabled=true"];

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file)).unwrap()
}

fn groups(objects: &Objects) -> Vec<Value> {
    list(&objects.only("PrometheusRule")["spec"]["groups"]).to_vec()
}

fn rules(objects: &Objects, alert: &str) -> Vec<Value> {
    let rules = groups(objects).into_iter().flat_map(|group| list(&group["rules"]).to_vec());
    rules.filter(|rule| rule["alert"] == alert).collect()
}

#[test]
fn nothing_of_an_operator_or_of_grafana_is_created_unasked() {
    let objects = render(DEV, &[]);
    assert!(objects.all("PodMonitor").is_empty());
    assert!(objects.all("PrometheusRule").is_empty());
    let maps = objects.all("ConfigMap");
    assert!(maps.iter().all(|map| map["metadata"]["labels"]["grafana_dashboard"].is_null()));
}

/// By these labels rules and dashboards tell installations apart.
#[test]
fn a_scraped_series_has_the_release_and_the_component() {
    let values = ["podMonitor.enabled=true", "podMonitor.relabelings[0].action=labeldrop"];
    let monitor = render(DEV, &values).only("PodMonitor").clone();
    let relabelings = list(&monitor["spec"]["podMetricsEndpoints"][0]["relabelings"]);
    let label = |name: &str| format!("__meta_kubernetes_pod_label_app_kubernetes_io_{name}");
    let expected = [
        json!({"sourceLabels": [label("instance")], "targetLabel": "release"}),
        json!({"sourceLabels": [label("component")], "targetLabel": "component"}),
        json!({"action": "labeldrop"}),
    ];
    assert_eq!(relabelings, expected);
}

/// The file for a Prometheus without operator selects the series of every installation, the chart its own.
#[test]
fn the_chart_s_rules_are_those_of_the_file_for_its_own_series() {
    let own = format!("namespace=\"{NAMESPACE}\",release=\"{RELEASE}\"");
    let migrations = format!("namespace=\"{NAMESPACE}\",job_name=~\"{RELEASE}-migrate(-[0-9a-f]+)?\"");
    let file = read("k8s/monitoring/rules.yaml");
    let file = file
        .replace("release!=\"\"", &own)
        .replace("job_name=~\".*rowcast.*-migrate(-[0-9a-f]+)?\"", &migrations)
        .replace("\"release\", \"$1\"", &format!("\"release\", \"{RELEASE}\""));
    let file: Value = serde_saphyr::from_str(&file).unwrap();
    assert_eq!(json!(groups(&render(DEV, RULES))), file["groups"]);
}

#[test]
fn alerts_take_labels_thresholds_durations_and_the_address_of_their_runbooks() {
    let values = [
        "prometheusRule.alertLabels.team=data",
        "prometheusRule.alertLabels.severity=page",
        "prometheusRule.for.RowcastSlowClients=30s",
        "prometheusRule.thresholds.slowClients=7",
        "runbookUrl=https://git.example/runbooks/",
    ];
    let objects = render(DEV, &[RULES, &values].concat());
    let rule = &rules(&objects, "RowcastSlowClients")[0];
    assert_eq!(rule["labels"], json!({"severity": "warning", "team": "data"}));
    assert_eq!(rule["for"], "30s");
    assert!(text(&rule["expr"]).contains(") > 7\n"), "{}", rule["expr"]);
    assert_eq!(rule["annotations"]["runbook_url"], "https://git.example/runbooks/RowcastSlowClients.md");
    // nothing is left to fill in
    assert!(!json!(groups(&objects)).to_string().contains('@'));
}

#[test]
fn an_excluded_alert_is_left_out_in_every_severity() {
    let objects = render(DEV, &[RULES, &["prometheusRule.exclude={RowcastReadingsLate}"]].concat());
    assert!(rules(&objects, "RowcastReadingsLate").is_empty());
    assert_eq!(rules(&objects, "RowcastPostsFail").len(), 2);
    assert_eq!(rules(&render(DEV, RULES), "RowcastReadingsLate").len(), 2);
}

#[test]
fn a_dashboard_is_found_by_the_sidecar_and_links_the_runbooks() {
    let values =
        ["dashboards.folder=Live", "dashboards.labels.team=data", "runbookUrl=https://git.example/r"];
    let objects = render(DEV, &[DASHBOARDS, &values].concat());
    let maps: Vec<&Value> = objects.all("ConfigMap");
    let maps: Vec<&&Value> =
        maps.iter().filter(|map| map["metadata"]["labels"]["grafana_dashboard"] == "1").collect();
    assert_eq!(maps.len(), 6);
    for map in maps {
        assert_eq!(map["metadata"]["annotations"]["grafana_folder"], "Live");
        assert_eq!(map["metadata"]["labels"]["team"], "data");
        for (file, dashboard) in map["data"].as_object().unwrap() {
            let mut dashboard: Value = serde_json::from_str(text(dashboard)).unwrap();
            let name = file.strip_prefix("rowcast-").unwrap();
            let own: Value =
                serde_json::from_str(&read(&format!("charts/rowcast/dashboards/{name}"))).unwrap();
            let runbooks = |variables: &Value| {
                list(variables).iter().position(|variable| variable["name"] == "runbooks").unwrap()
            };
            let at = runbooks(&dashboard["templating"]["list"]);
            assert_eq!(dashboard["templating"]["list"][at]["query"], "https://git.example/r");
            dashboard["templating"]["list"][at]["query"] = json!("docs/runbooks");
            assert_eq!(dashboard, own, "{file}");
        }
    }
}

#[test]
fn a_dashboard_without_a_folder_has_no_annotation() {
    let objects = render(DEV, &[DASHBOARDS, &["dashboards.folder="]].concat());
    let map = objects.one("ConfigMap", "rowcast-dashboard-overview");
    assert!(map["metadata"]["annotations"].is_null());
}

/// The objects of the trial, as `kubectl apply -k` sends them.
pub(crate) fn trial() -> Objects {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../k8s/monitoring");
    let text = run("kubectl", &["kustomize".to_owned(), folder.display().to_string()], "").unwrap();
    Objects(serde_saphyr::from_multiple(&text).unwrap())
}

#[test]
fn the_pods_of_the_trial_are_restricted_small_and_probed() {
    let pods = trial().pods();
    assert_eq!(pods.len(), 3);
    for pod in pods {
        check_restricted("monitoring", &pod);
        check_resources("monitoring", &pod);
        for probe in ["readinessProbe", "livenessProbe"] {
            assert!(pod.container()[probe]["httpGet"]["path"].is_string(), "{}: {probe}", pod.owner);
        }
        let needs_token = pod.component == "prometheus";
        assert_eq!(pod.spec()["automountServiceAccountToken"], json!(needs_token), "{}", pod.owner);
    }
}

/// Prometheus of the trial gives the labels that a PodMonitor of the chart gives.
#[test]
fn the_trial_scrapes_what_the_chart_s_monitor_selects() {
    let config: Value = serde_saphyr::from_str(&read("k8s/monitoring/config/prometheus.yml")).unwrap();
    let job = &config["scrape_configs"][0];
    let relabelings = list(&job["relabel_configs"]);
    let monitor = render(DEV, &["podMonitor.enabled=true"]).only("PodMonitor").clone();
    for own in list(&monitor["spec"]["podMetricsEndpoints"][0]["relabelings"]) {
        let same = relabelings.iter().any(|relabeling| {
            relabeling["source_labels"] == own["sourceLabels"]
                && relabeling["target_label"] == own["targetLabel"]
        });
        assert!(same, "{own}");
    }
    for label in ["namespace", "pod"] {
        assert!(relabelings.iter().any(|relabeling| relabeling["target_label"] == label), "{label}");
    }
    for component in ["ingest", "ws-gateway", "notify-listener"] {
        let pod = render(DEV, &[]).pod(component);
        assert_eq!(pod.template["metadata"]["labels"]["app.kubernetes.io/part-of"], "rowcast");
        assert!(list(&pod.container()["ports"]).iter().any(|port| port["name"] == "admin"));
    }
}

#[test]
fn grafana_of_the_trial_has_every_dashboard_of_the_chart() {
    let objects = trial();
    let pod = objects.pod("grafana");
    let volumes = list(&pod.spec()["volumes"]);
    let mounted = volumes.iter().find(|volume| volume["name"] == "dashboards").unwrap();
    let mut mounted: Vec<&str> = list(&mounted["projected"]["sources"])
        .iter()
        .map(|source| text(&source["configMap"]["name"]))
        .collect();
    mounted.sort_unstable();
    let chart = render(DEV, DASHBOARDS);
    let mut made: Vec<&str> =
        chart.all("ConfigMap").iter().map(|map| text(&map["metadata"]["name"])).collect();
    made.retain(|name| name.contains("-dashboard-"));
    made.sort_unstable();
    assert_eq!(mounted, made);
}
