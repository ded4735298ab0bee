//! Faults of who leads.

use e2e::Plan;
use testkit::{proxy::LinkState, wait_for};

use super::scene::{SOON, Scene, seen};

/// Waits until this one no longer fires.
async fn ends(scene: &Scene, alert: &str) {
    wait_for(alert, SOON, async || match scene.monitor.firing().await {
        Ok(firing) if !firing.contains_key(alert) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_of_leaders_fire_in_their_fault_and_resolve() {
    // without an election each of them leads
    let mut scene = Scene::of(Plan { gateways: 2, listeners: 2 }).await;
    scene.fire("two listeners lead", &["RowcastTwoLeaders"]).await;
    scene.stack.listeners[1].process.kill().unwrap();
    ends(&scene, "RowcastTwoLeaders").await;

    let leading = r#"rowcast_listener_leading{pod="notify-listener-0"}"#;
    for _ in 0..2 {
        scene.stack.listeners[0].to_postgres.set(LinkState::Cut);
        scene.stack.listeners[0].crash_and_start().unwrap();
        seen(&scene.monitor, &format!("{leading} == 0")).await;
        scene.stack.listeners[0].to_postgres.set(LinkState::Open);
        seen(&scene.monitor, &format!("{leading} == 1")).await;
    }
    scene.fire("a leader comes and goes", &["RowcastLeaderFlapping"]).await;
    ends(&scene, "RowcastLeaderFlapping").await;
}
