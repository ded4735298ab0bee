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
    let promtool = testkit::process::find_program("promtool", &["/usr/bin"]);
    let promtool = promtool.expect("`cargo xtask setup` installs promtool");
    let ran = Command::new(promtool).args(args).args(files).output().unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(ran.status.success(), "{said}");
}

#[test]
fn the_rules_are_valid() {
    promtool(&["check", "rules", "--lint-fatal"], &[monitoring().join("rules.yaml")]);
}

#[test]
fn every_alert_fires_in_its_fault_and_in_no_rollout() {
    let tests = fs::read_dir(monitoring().join("tests")).unwrap();
    let mut tests: Vec<PathBuf> = tests.map(|entry| entry.unwrap().path()).collect();
    tests.sort();
    assert!(tests.len() >= 20, "{tests:?}");
    promtool(&["test", "rules"], &tests);
}
