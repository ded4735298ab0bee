//! The chart's alerts with their default thresholds: as rules of a Prometheus without its operator, and as a table.

use std::{fmt::Write, fs, path::Path};

use anyhow::{Context, Result};
use serde_json::Value;

use super::generated::{Generated, splice};

const RULES: &str = "k8s/monitoring/rules.yaml";
const PAGE: &str = "docs/OPERATIONS.md";
const HEAD: &str = "\
# The alerts and their recording rules. Written by `cargo xtask codegen` from charts/rowcast/rules and the thresholds of
# charts/rowcast/values.yaml.
groups:
";

/// What selects the series of every installation.
const OWN: &str = "release!=\"\"";
const MIGRATIONS: &str = "job_name=~\".*rowcast.*-migrate(-[0-9a-f]+)?\"";

/// The rules, and the page with their table. Malformed values are reported as files out of date, which contain the reason.
pub(super) fn files(root: &Path) -> [Generated; 2] {
    let page = fs::read_to_string(root.join(PAGE)).unwrap_or_default();
    let made = read(root).and_then(|rules| {
        let page = splice(&page, "<!-- alerts:", &table(&rules)?);
        Ok((rules, page))
    });
    let (rules, page) = made.unwrap_or_else(|error| {
        let fault = format!("{error:#}\n");
        (fault.clone(), format!("{page}{fault}"))
    });
    [Generated { path: RULES, text: rules }, Generated { path: PAGE, text: page }]
}

/// A row for each alert, which may have a rule for each severity.
fn table(rules: &str) -> Result<String> {
    let rules: Value = serde_saphyr::from_str(rules).context("charts/rowcast/rules is no YAML")?;
    let groups = rules["groups"].as_array().into_iter().flatten();
    let mut rows: Vec<(&str, Vec<&str>, &str)> = Vec::new();
    for rule in groups.flat_map(|group| group["rules"].as_array().into_iter().flatten()) {
        let Some(alert) = rule["alert"].as_str() else { continue };
        let severity = rule["labels"]["severity"].as_str().context("an alert has no severity")?;
        match rows.iter_mut().find(|(name, ..)| *name == alert) {
            Some((_, severities, _)) => severities.push(severity),
            None => {
                let summary = rule["annotations"]["summary"].as_str().context("an alert has no summary")?;
                rows.push((alert, vec![severity], summary));
            }
        }
    }
    let mut text = "| alert | severity | when |\n|---|---|---|\n".to_owned();
    for (alert, severities, summary) in rows {
        let severities = severities.join(", ");
        let _ = writeln!(text, "| [{alert}](runbooks/{alert}.md) | {severities} | {summary} |");
    }
    Ok(text)
}

fn read(root: &Path) -> Result<String> {
    let chart = root.join("charts/rowcast");
    let values = fs::read_to_string(chart.join("values.yaml")).context("reading values.yaml")?;
    let values: Value = serde_saphyr::from_str(&values).context("values.yaml is no YAML")?;
    let mut files = fs::read_dir(chart.join("rules"))
        .context("reading charts/rowcast/rules")?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.sort();
    let mut text = HEAD.to_owned();
    for file in files {
        let rules = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        text += &group(&filled(&rules, &values));
    }
    Ok(text)
}

/// With the defaults in place of what the chart fills in.
fn filled(rules: &str, values: &Value) -> String {
    let fixed = [("own", OWN), ("migrations", MIGRATIONS), ("release", "$1")];
    let fixed = fixed.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let runbooks = values["runbookUrl"].as_str().unwrap_or_default().to_owned();
    let thresholds = values["prometheusRule"]["thresholds"].as_object().into_iter().flatten();
    let thresholds = thresholds.map(|(name, value)| (name.clone(), value.to_string()));
    let all = fixed.into_iter().chain([("runbooks".to_owned(), runbooks)]).chain(thresholds);
    all.fold(rules.to_owned(), |text, (name, value)| text.replace(&format!("@{name}@"), &value))
}

/// As an item of the list of groups, below the comment of its file.
fn group(rules: &str) -> String {
    let line = |line: &str| match line {
        "" => "\n".to_owned(),
        name if name.starts_with("name:") => format!("  - {name}\n"),
        comment if comment.starts_with('#') => format!("  {comment}\n"),
        other => format!("    {other}\n"),
    };
    rules.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_group_has_the_defaults_of_its_thresholds() {
        let values =
            json!({"runbookUrl": "docs", "prometheusRule": {"thresholds": {"many": 3, "part": 0.5}}});
        let rules = "# Why.\nname: a\nrules:\n  - expr: x{@own@} > @many@ * @part@ # @runbooks@\n";
        let expected = "  # Why.\n  - name: a\n    rules:\n      - expr: x{release!=\"\"} > 3 * 0.5 # docs\n";
        assert_eq!(group(&filled(rules, &values)), expected);
    }

    #[test]
    fn an_alert_of_two_severities_has_one_row() {
        let rule =
            |severity| format!("{{alert: A, labels: {{severity: {severity}}}, annotations: {{summary: B}}}}");
        let rules =
            format!("groups: [{{rules: [{{record: x}}, {}, {}]}}]", rule("critical"), rule("warning"));
        let expected =
            "| alert | severity | when |\n|---|---|---|\n| [A](runbooks/A.md) | critical, warning | B |\n";
        assert_eq!(table(&rules).unwrap(), expected);
        assert!(table("groups: [{rules: [{alert: A}]}]").is_err());
    }
}
