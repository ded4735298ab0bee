//! The alerts by promtool: the rules are valid, and fire when and only when they should.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn monitoring() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../k8s/monitoring")
}

#[track_caller]
fn promtool(args: &[&str], files: &[PathBuf]) {
    let promtool = testkit::prometheus::promtool().expect("`cargo xtask setup` installs promtool");
    let ran = Command::new(promtool).args(args).args(files).output().unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(ran.status.success(), "{said}");
}

#[test]
fn the_rules_are_valid() {
    promtool(&["check", "rules", "--lint-fatal"], &[monitoring().join("rules.yaml")]);
}

/// Debian's promtool does not know Kubernetes, so it sees the rest of the job.
#[test]
fn the_configuration_of_the_trial_is_valid() {
    let config = fs::read_to_string(monitoring().join("config/prometheus.yml")).unwrap();
    let mut config: serde_json::Value = serde_saphyr::from_str(&config).unwrap();
    let job = config["scrape_configs"][0].as_object_mut().unwrap();
    assert!(job.remove("kubernetes_sd_configs").is_some());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prometheus.yml");
    fs::write(&file, config.to_string()).unwrap();
    fs::copy(monitoring().join("rules.yaml"), folder.path().join("rules.yaml")).unwrap();
    promtool(&["check", "config"], &[file]);
}

#[test]
fn every_alert_fires_in_its_fault_and_in_no_rollout() {
    let tests = fs::read_dir(monitoring().join("tests")).unwrap();
    let mut tests: Vec<PathBuf> = tests.map(|entry| entry.unwrap().path()).collect();
    tests.sort();
    assert!(tests.len() >= 20, "{tests:?}");
    promtool(&["test", "rules"], &tests);
}
