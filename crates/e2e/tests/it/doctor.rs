//! `rowcast doctor` of a whole installation, and of one that lacks a part.

use std::{process::Command, time::Duration};

use e2e::{Plan, Stack, stack};
use tokio::task::spawn_blocking;

/// What it said, and whether it was content.
async fn examine(stack: &Stack, within: &str) -> (Option<i32>, String) {
    let (ingest, gateway) = (stack.ingest.public(), stack.gateways[0].public());
    let mut doctor = Command::new(stack::binary("rowcast").unwrap());
    doctor.args(["doctor", "--within", within]);
    doctor.arg("--ingest").arg(format!("http://{ingest}")).arg("--gateway").arg(format!("http://{gateway}"));
    let ran = spawn_blocking(move || doctor.output().unwrap()).await.unwrap();
    (ran.status.code(), String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned())
}

#[track_caller]
fn check((code, said): (Option<i32>, String), expected: i32, lines: &[&str]) {
    assert_eq!(code, Some(expected), "{said}");
    let found: Vec<_> = said.lines().collect();
    assert_eq!(found.len(), lines.len(), "{said}");
    assert!(found.iter().zip(lines).all(|(found, begins)| found.starts_with(begins)), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_what_is_well_and_which_part_is_not() {
    let stack = Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap();
    let (subscribed, stored) = ("ok      subscribe", "ok      store");
    check(examine(&stack, "20s").await, 0, &[subscribed, stored, "ok      deliver", "well: "]);
    stack.listeners[0].process.kill().unwrap();
    check(
        examine(&stack, "2s").await,
        1,
        &[subscribed, stored, "FAILED  deliver", "look at notify-listener"],
    );
    stack.ingest.process.kill().unwrap();
    check(examine(&stack, "2s").await, 1, &[subscribed, "FAILED  store", "look at ingest"]);
    stack.gateways[0].process.kill().unwrap();
    let began = std::time::Instant::now();
    check(examine(&stack, "2s").await, 1, &["FAILED  subscribe", "look at the gateway"]);
    assert!(began.elapsed() < Duration::from_secs(10));
}
