//! Each alert fires in its fault, and resolves after: real processes, rules with shortened times.

mod clocks;
mod database;
mod delivery;
mod leaders;
mod saturation;
mod scene;

use e2e::{Monitor, Plan, Stack, client};
use nix::sys::signal::Signal;
use testkit::proxy::LinkState;

use self::scene::{Scene, fire, resolve, seen, shortened};
use crate::audit;

#[tokio::test(flavor = "multi_thread")]
async fn alerts_of_processes_fire_in_their_fault_and_resolve() {
    let mut scene = Scene::begin().await;

    scene.stack.listeners[0].process.kill().unwrap();
    let expected =
        ["RowcastNoLeader", "RowcastComponentMissing", "RowcastTargetDown", "RowcastReadingsStopped"];
    scene.fire("the leader is killed without a successor", &expected).await;
    scene.stack.listeners[0].process.restart().unwrap();
    scene.healthy("a leader again").await;

    scene.stack.gateways[0].process.kill().unwrap();
    scene.fire("a gateway is killed", &["RowcastTargetDown"]).await;
    scene.stack.gateways[0].process.restart().unwrap();
    scene.healthy("the gateway again").await;

    scene.stack.listeners[0].process.signal(Signal::SIGSTOP).unwrap();
    scene.fire("the leader is frozen", &["RowcastTargetDown", "RowcastReadingsStopped"]).await;
    scene.stack.listeners[0].process.signal(Signal::SIGCONT).unwrap();
    scene.fire("what it forwards then is late", &["RowcastReadingsLate"]).await;
    scene.healthy("it has caught up").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_of_databases_and_clients_fire_in_their_fault_and_resolve() {
    let scene = Scene::begin().await;

    scene.to_redis(LinkState::Cut);
    let expected = ["RowcastReadingsStopped", "RowcastConditionFails", "RowcastCanaryFailing"];
    scene.fire("Redis is gone", &expected).await;
    scene.to_redis(LinkState::Open);
    scene.healthy("Redis again").await;

    let to_postgres = &scene.stack.ingest.to_postgres;
    to_postgres.set(LinkState::Cut);
    scene.fire("ingest has lost Postgres", &["RowcastPostsFail"]).await;
    to_postgres.set(LinkState::Open);
    scene.healthy("Postgres again").await;

    let mut sockets = Vec::new();
    for _ in 0..18 {
        sockets.push(client::connect_v1(scene.stack.gateways[0].public()).await.unwrap());
    }
    let expected = ["RowcastConnectionsNearLimit", "RowcastGatewaysImbalanced"];
    scene.fire("a gateway is nearly full", &expected).await;
    drop(sockets);
    scene.healthy("room again").await;

    for _ in 0..60 {
        drop(client::connect_v1(scene.stack.gateways[1].public()).await.unwrap());
    }
    scene.fire("clients come and go", &["RowcastReconnectStorm"]).await;
    scene.healthy("quiet again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_was_removed_by_hand_raises_an_alert() {
    let stack = Stack::start(Plan { gateways: 2, listeners: 1 }).await.unwrap();
    let monitor = Monitor::start(&stack, &[], &shortened()).unwrap();
    audit::post(&stack, "zero").await;
    seen(&monitor, "sum(rowcast_gateway_taken_readings_total) == 2").await;
    audit::lose_an_entry(&stack, 0).await;
    fire(&monitor, "an entry is missing", &["RowcastAuditMismatch"]).await;
    resolve(&monitor, "the feed has begun anew").await;
}
