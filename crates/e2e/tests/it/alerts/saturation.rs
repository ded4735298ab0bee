//! Faults that make something wait until there is no room.

use std::{net::SocketAddr, time::Duration};

use e2e::{http, session::Session};
use testkit::proxy::LinkState;
use tokio::{task::JoinSet, time::sleep};

use super::scene::{Scene, seen};

/// How long a client pauses after an answer, which may be a refusal.
const PAUSE: Duration = Duration::from_millis(20);

/// POSTs 840 kB, again and again.
fn write_much(ingest: SocketAddr) -> JoinSet<()> {
    let text = "x".repeat(60_000);
    let reading = format!(r#"{{"sensor_id":"much","value":1,"metadata":{{"text":"{text}"}}}}"#);
    let body = format!("[{}]", vec![reading; 14].join(","));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            drop(http::post(ingest, "/api/sensors/", &body).await);
            sleep(PAUSE).await;
        }
    });
    tasks
}

/// So many clients that GET this, again and again.
fn read(clients: usize, addr: SocketAddr, path: &'static str) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        tasks.spawn(async move {
            loop {
                drop(http::get(addr, path).await);
                sleep(PAUSE).await;
            }
        });
    }
    tasks
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_of_ingest_fire_in_their_fault_and_resolve() {
    let scene = Scene::begin().await;
    let expected = ["RowcastIngestQueueFilling", "RowcastPostsFail"];

    let writers = write_much(scene.stack.ingest.public());
    let mut session = Session::begin(&scene.stack).unwrap();
    session.run("lock table sensor_readings in share mode;").unwrap();
    scene.fire("the table is locked", &expected).await;
    session.commit().unwrap();
    scene.healthy("the lock is released").await;

    // also what a slow disk does: each commit takes seconds
    scene.stack.ingest.to_postgres.set(LinkState::Slow(100_000));
    scene.fire("Postgres is slow", &expected).await;
    scene.stack.ingest.to_postgres.set(LinkState::Open);
    drop(writers);
    scene.healthy("Postgres is quick again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_of_reads_fire_in_their_fault_and_resolve() {
    let scene = Scene::begin().await;
    let readers = [
        read(20, scene.stack.ingest.public(), "/api/sensors/"),
        read(8, scene.stack.gateways[0].public(), "/api/readings"),
    ];
    let mut session = Session::begin(&scene.stack).unwrap();
    session.run("lock table sensor_readings in access exclusive mode;").unwrap();
    for component in ["ingest", "ws-gateway"] {
        let alerts = r#"alertname="RowcastPoolSaturated",alertstate="firing""#;
        seen(&scene.monitor, &format!(r#"ALERTS{{{alerts},component="{component}"}}"#)).await;
    }
    scene.fire("reads wait for a lock", &["RowcastPoolSaturated"]).await;
    session.commit().unwrap();
    drop(readers);
    scene.healthy("the lock is released").await;
}
