//! The chart's alerts with their default thresholds, as rules of a Prometheus without its operator.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde_json::Value;

use super::generated::Generated;

const RULES: &str = "k8s/monitoring/rules.yaml";
const HEAD: &str = "\
# The alerts and their recording rules. Written by `cargo xtask codegen` from charts/rowcast/rules and the thresholds of
# charts/rowcast/values.yaml.
groups:
";

/// What selects the series of every installation.
const OWN: &str = "release!=\"\"";
const MIGRATIONS: &str = "job_name=~\".*rowcast.*-migrate(-[0-9a-f]+)?\"";

/// The rules. Malformed values are reported as a file out of date, which contains the reason.
pub(super) fn file(root: &Path) -> Generated {
    let text = read(root).unwrap_or_else(|error| format!("{error:#}\n"));
    Generated { path: RULES, text }
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
}
