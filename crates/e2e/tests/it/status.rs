//! `rowcast status` of a healthy installation, and of one without a leader.

use std::{process::Command, time::Duration};

use e2e::{Plan, Stack, http, stack};
use serde_json::Value;
use testkit::wait_for;
use tokio::task::spawn_blocking;

const SOON: Duration = Duration::from_secs(20);

/// Its exit code, and its output.
async fn status(stack: &Stack, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(stack::binary("rowcast").unwrap());
    let admins: Vec<String> = stack.services().map(|service| format!("http://{}", service.admin)).collect();
    command.arg("status").args(arguments).env("ROWCAST_ADMIN_URLS", admins.join(","));
    let ran = spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (ran.status.code(), String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_is_well_until_nobody_leads() {
    let stack = Stack::start(Plan { gateways: 2, listeners: 1 }).await.unwrap();
    for sensor in 0..3 {
        let body = format!(r#"{{"sensor_id":"s{sensor}","value":1}}"#);
        assert_eq!(http::post(stack.ingest.public(), "/api/sensors/", &body).await.unwrap().status, 201);
    }
    wait_for("the readings at the gateways", SOON, async || {
        for gateway in &stack.gateways {
            let head = gateway
                .metric("rowcast_gateway_head_readings")
                .await
                .map_err(|error| format!("{error:#}"))?;
            if head < 3.0 {
                return Err(format!("{head} readings"));
            }
        }
        Ok(())
    })
    .await;
    let (code, text) = status(&stack, &[]).await;
    assert_eq!(code, Some(0), "{text}");
    for expected in [
        "leads; tick ",
        "3 readings, 0 not in the stream",
        "0 readings to take",
        "0 mismatches",
        "all is well",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let (code, json) = status(&stack, &["-o", "json"]).await;
    let picture: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (code, picture["log_readings"].as_u64(), picture["audit"]["checked_readings"].as_u64()),
        (Some(0), Some(3), Some(6))
    );

    stack.listeners[0].process.kill().unwrap();
    let (code, text) = status(&stack, &[]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("PROBLEM") && text.contains("refused"), "{text}");
}
