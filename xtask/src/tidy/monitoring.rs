//! Every alert has its runbook and its test, and no rule, dashboard or runbook names a metric that does not exist.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::Value;

use super::finding::Finding;

const RULES: &str = "k8s/monitoring/rules.yaml";
const TESTS: &str = "k8s/monitoring/tests";
const RUNBOOKS: &str = "docs/runbooks";
const DASHBOARDS: &str = "charts/rowcast/dashboards";
/// All metrics, generated from the services' registries.
const METRICS: &str = "docs/METRICS.md";

/// The parts of a runbook.
const PARTS: [&str; 4] =
    ["**What users feel.**", "**Confirm**", "**End it**", "**Not to be confused with.**"];

pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let rules = fs::read_to_string(root.join(RULES)).with_context(|| format!("reading {RULES}"))?;
    let alerts = alerts(&serde_saphyr::from_str(&rules).with_context(|| format!("{RULES} is no YAML"))?);
    let mut findings: Vec<Finding> = alerts.iter().flat_map(|alert| about(root, alert)).collect();
    let runbooks = files(&root.join(RUNBOOKS))?;
    findings.extend(
        runbooks
            .iter()
            .filter(|page| !alerts.contains(&stem(page)))
            .map(|page| Finding::new(format!("{RUNBOOKS}/{}.md", stem(page)), "no alert of this name")),
    );
    let known = names(&fs::read_to_string(root.join(METRICS)).unwrap_or_default());
    let dashboards = files(&root.join(DASHBOARDS))?;
    for file in [root.join(RULES)].iter().chain(&dashboards).chain(&runbooks) {
        let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let path = file.strip_prefix(root).unwrap_or(file).to_string_lossy();
        let unknown = names(&text).into_iter().filter(|name| !is_known(name, &known));
        findings.extend(unknown.map(|name| Finding::new(&*path, format!("{name} is not in {METRICS}"))));
    }
    Ok(findings)
}

/// Names of alerts, each once: one may have a rule for each severity.
fn alerts(rules: &Value) -> BTreeSet<String> {
    let groups = rules["groups"].as_array().into_iter().flatten();
    let rules = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten());
    rules.filter_map(|rule| rule["alert"].as_str().map(str::to_owned)).collect()
}

fn about(root: &Path, alert: &str) -> Vec<Finding> {
    let (page, test) = (format!("{RUNBOOKS}/{alert}.md"), format!("{TESTS}/{alert}.yaml"));
    let runbook = fs::read_to_string(root.join(&page)).unwrap_or_default();
    let missing = PARTS.iter().filter(|part| !runbook.contains(*part));
    let mut findings: Vec<Finding> =
        missing.map(|part| Finding::new(&page, format!("the runbook of {alert} has no {part}"))).collect();
    let tests = fs::read_to_string(root.join(&test)).unwrap_or_default();
    let tests: Value = serde_saphyr::from_str(&tests).unwrap_or_default();
    let tests = || tests["tests"].as_array().into_iter().flatten();
    let fires = tests().any(|test| fires(test, alert));
    let stays_silent = tests().any(|test| stays_silent(test, alert));
    if !fires {
        findings.push(Finding::new(&test, format!("no test in which {alert} fires")));
    }
    if !stays_silent {
        findings.push(Finding::new(&test, format!("no test in which {alert} stays silent")));
    }
    findings
}

/// Whether a test expects the alert at some moment.
fn fires(test: &Value, alert: &str) -> bool {
    let mut moments = test["alert_rule_test"].as_array().into_iter().flatten();
    moments.any(|moment| {
        moment["alertname"] == alert
            && moment["exp_alerts"].as_array().is_some_and(|alerts| !alerts.is_empty())
    })
}

/// Whether a test expects that the alert has fired at no moment.
fn stays_silent(test: &Value, alert: &str) -> bool {
    let firing = format!("count_over_time(ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}[");
    let mut expressions = test["promql_expr_test"].as_array().into_iter().flatten();
    expressions.any(|test| {
        test["expr"].as_str().is_some_and(|expr| expr.starts_with(&firing))
            && test["exp_samples"].as_array().is_some_and(Vec::is_empty)
    })
}

/// The names in a text that are those of our metrics. What has a colon is recorded by a rule.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    let ours = words.filter(|word| !word.contains(':'));
    ours.filter(|word| ["rowcast_", "process_"].iter().any(|prefix| word.starts_with(prefix)))
        .map(str::to_owned)
        .collect()
}

/// As itself, or as a series of a histogram.
fn is_known(name: &str, known: &BTreeSet<String>) -> bool {
    let series = ["_bucket", "_count", "_sum"].iter().filter_map(|end| name.strip_suffix(end));
    series.chain([name]).any(|name| known.contains(name))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

fn stem(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: &str = r#"
tests:
  - alert_rule_test:
      - {alertname: A, exp_alerts: []}
      - {alertname: A, exp_alerts: [{exp_labels: {}}]}
  - promql_expr_test:
      - {expr: 'count_over_time(ALERTS{alertname="A",alertstate="firing"}[5m])', exp_samples: []}
"#;

    fn write(root: &Path, path: &str, text: &str) {
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), text).unwrap();
    }

    /// What is found in a project whose only alert is A.
    fn found(change: impl Fn(&Path)) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(
            root,
            RULES,
            "groups: [{name: g, rules: [{alert: A, expr: rowcast_a_bucket + job:rowcast_x:sum}]}]",
        );
        write(root, "docs/runbooks/A.md", &PARTS.join("\n"));
        write(root, "k8s/monitoring/tests/A.yaml", TEST);
        write(root, "charts/rowcast/dashboards/a.json", "{\"expr\": \"rate(rowcast_b_total[1m])\"}");
        write(root, METRICS, "`rowcast_a`, `rowcast_b_total`");
        change(root);
        check(root).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_alert_with_a_runbook_and_a_test_is_complete() {
        assert!(found(|_| {}).is_empty());
    }

    #[test]
    fn what_an_alert_lacks_is_found() {
        let gone = |path: &'static str| move |root: &Path| fs::remove_file(root.join(path)).unwrap();
        assert_eq!(found(gone("docs/runbooks/A.md")).len(), PARTS.len());
        assert_eq!(
            found(gone("k8s/monitoring/tests/A.yaml")),
            [
                "k8s/monitoring/tests/A.yaml: no test in which A fires",
                "k8s/monitoring/tests/A.yaml: no test in which A stays silent"
            ]
        );
        let loud = TEST.replace("exp_samples: []", "exp_samples: [{value: 1}]");
        let loud = found(|root| write(root, "k8s/monitoring/tests/A.yaml", &loud));
        assert_eq!(loud, ["k8s/monitoring/tests/A.yaml: no test in which A stays silent"]);
        let other = found(|root| write(root, "docs/runbooks/B.md", ""));
        assert_eq!(other, ["docs/runbooks/B.md: no alert of this name"]);
    }

    #[test]
    fn a_metric_that_is_gone_is_found_where_it_is_used() {
        let found = found(|root| write(root, METRICS, "`rowcast_other`"));
        assert_eq!(
            found,
            [
                "k8s/monitoring/rules.yaml: rowcast_a_bucket is not in docs/METRICS.md",
                "charts/rowcast/dashboards/a.json: rowcast_b_total is not in docs/METRICS.md"
            ]
        );
    }
}
