//! Faults on a reading's way to its clients.

use e2e::client;
use testkit::proxy::LinkState;

use super::scene::Scene;

/// 12 MB: more than the kernel and a gateway keep for a client.
const LARGE: &str = "insert into sensor_readings (sensor_id, value, metadata)
    select 'large', n, jsonb_build_object('text', repeat('x', 60000)) from generate_series(1, 200) n";

#[tokio::test(flavor = "multi_thread")]
async fn alerts_of_delivery_fire_in_their_fault_and_resolve() {
    let mut scene = Scene::begin().await;

    let to_redis = scene.stack.listeners[0].to_redis.as_ref().unwrap();
    to_redis.set(LinkState::Slow(5_000));
    let expected = ["RowcastBacklogGrows", "RowcastReadingsLate"];
    scene.fire("the stream is slower than the readings", &expected).await;
    to_redis.set(LinkState::Open);
    scene.healthy("the stream is quick again").await;

    let to_redis = scene.stack.gateways[0].to_redis.as_ref().unwrap();
    to_redis.set(LinkState::Slow(5_000));
    scene.fire("a gateway is slower than the readings", &["RowcastGatewayBehind"]).await;
    to_redis.set(LinkState::Open);
    scene.healthy("the gateway has caught up").await;

    let mut sockets = Vec::new();
    for _ in 0..4 {
        sockets.push(client::subscribed(scene.stack.gateways[0].public(), "{}").await);
    }
    scene.stack.psql(LARGE);
    scene.fire("clients do not read", &["RowcastSlowClients"]).await;
    drop(sockets);
    scene.healthy("they are gone").await;

    // as a dump that is restored elsewhere: the ticks are another system's
    scene.stack.psql("update rowcast.epoch set system_identifier = 5");
    scene.stack.listeners[0].crash_and_start().unwrap();
    scene.fire("history was restored", &["RowcastGapTold"]).await;
    scene.healthy("clients follow the new history").await;

    // under load the leader needs no notification: only the canary writes
    scene.traffic = None;
    scene.stack.psql("alter table sensor_readings disable trigger sensor_update_trigger");
    scene.fire("the trigger is disabled", &["RowcastNotificationsMissing"]).await;
    scene.stack.psql("alter table sensor_readings enable always trigger sensor_update_trigger");
    scene.healthy("Postgres notifies again").await;
}
