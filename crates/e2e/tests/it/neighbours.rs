//! Installations that share a Redis: each uses its own keys.

use e2e::{
    Plan, Stack,
    client::{self, subscribed},
    http,
    stack::{DATABASE, migrate},
};
use serde_json::Value;
use std::{net::SocketAddr, time::Duration};
use testkit::{Postgres, wait_for};
use wire::ServerMessage;

async fn stack() -> Stack {
    Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap()
}

/// The sensors that a client of that gateway receives until the sensor `end`.
async fn received(gateway: SocketAddr, write: impl FnOnce()) -> Vec<String> {
    let (mut socket, _) = subscribed(gateway, "{}").await;
    write();
    let sensor = |message: &ServerMessage| {
        let data: Value = serde_json::from_str(message.data.as_ref()?.get()).ok()?;
        data["sensor_id"].as_str().map(str::to_owned)
    };
    let messages =
        client::messages_until(&mut socket, |message| sensor(message).as_deref() == Some("end")).await;
    messages.iter().filter_map(sensor).collect()
}

/// Epochs are numbered by the clock: waits until one that begins has another number than the newest of the stack.
async fn next_epoch(stack: &Stack) {
    let epoch = stack.psql("select max(epoch) from rowcast.epoch");
    wait_for("the next second", Duration::from_secs(5), async || {
        let later = stack.psql(&format!("select extract(epoch from now()) >= {epoch} + 1"));
        if later == "t" { Ok(()) } else { Err(later) }
    })
    .await;
}

const INSERT: &str = "insert into sensor_readings (sensor_id, value) values";

#[tokio::test(flavor = "multi_thread")]
async fn two_databases_share_a_redis_without_receiving_each_other_s_readings() {
    let stack = stack().await;
    stack.psql("create database staging");
    let staging = stack.start_neighbour(&stack.postgres, "staging").await.unwrap();
    for service in [&staging.gateway, &staging.listener] {
        service.await_ready().await;
    }
    for round in 0..3 {
        let theirs = received(staging.gateway.public(), || {
            stack.psql(&format!("{INSERT} ('older', {round})"));
            stack.postgres.psql("staging", &format!("{INSERT} ('end', {round})")).unwrap();
        });
        // readings of their own previous round may still be in flight
        let theirs = theirs.await;
        assert!(!theirs.iter().any(|sensor| sensor == "older"), "{theirs:?}");
        let ours = received(stack.gateways[0].public(), || {
            stack.postgres.psql("staging", &format!("{INSERT} ('younger', {round})")).unwrap();
            stack.psql(&format!("{INSERT} ('end', {round})"));
        });
        let ours = ours.await;
        assert!(!ours.iter().any(|sensor| sensor == "younger"), "{ours:?}");
    }
    for listener in [&stack.listeners[0], &staging.listener] {
        assert_eq!(listener.metric("rowcast_listener_losses_total").await.unwrap(), 0.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_physical_copy_is_named_and_does_not_harm_the_older_one() {
    let stack = stack().await;
    // every server of these tests is a copy of one data folder, so its databases have the same identity
    let copied = Postgres::start().unwrap();
    let identity = "select system_identifier from pg_control_system()";
    assert_eq!(copied.psql(DATABASE, identity).unwrap(), stack.psql(identity));
    next_epoch(&stack).await;
    let copy = stack.start_neighbour(&copied, DATABASE).await.unwrap();
    wait_for("the copy's error in its log", Duration::from_secs(30), async || {
        let log = copy.listener.process.tail();
        if log.contains("another installation writes {rowcast:") { Ok(()) } else { Err(log) }
    })
    .await;
    let ours = received(stack.gateways[0].public(), || {
        stack.psql(&format!("{INSERT} ('older', 1), ('end', 1)"));
    });
    assert_eq!(ours.await, ["older", "end"]);
    assert_eq!(stack.listeners[0].metric("rowcast_listener_losses_total").await.unwrap(), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_with_the_same_epoch_does_not_take_the_stream_of_an_idle_database() {
    let stack = stack().await;
    let before = received(stack.gateways[0].public(), || {
        stack.psql(&format!("{INSERT} ('end', 1)"));
    });
    assert_eq!(before.await, ["end"]);
    let copied = stack.postgres.start_copy().unwrap();
    copied.psql(DATABASE, &format!("{INSERT} ('copied', 1)")).unwrap();
    let copy = stack.start_neighbour(&copied, DATABASE).await.unwrap();
    wait_for("the copy's error in its log", Duration::from_secs(30), async || {
        let log = copy.listener.process.tail();
        if log.contains("another installation writes {rowcast:") { Ok(()) } else { Err(log) }
    })
    .await;
    copy.listener.await_degraded("forwarding").await;
    for round in 0..3 {
        copied.psql(DATABASE, &format!("{INSERT} ('copied', {round})")).unwrap();
        let ours = received(stack.gateways[0].public(), || {
            stack.psql(&format!("{INSERT} ('older', {round}), ('end', {round})"));
        });
        assert_eq!(ours.await, ["older", "end"]);
    }
    assert_eq!(stack.psql("select count(*) from rowcast.epoch"), "1");
    assert_eq!(stack.listeners[0].metric("rowcast_listener_losses_total").await.unwrap(), 0.0);
    // once the older one has stopped, the copy may continue
    stack.listeners[0].process.kill().unwrap();
    copy.listener.await_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_created_again_in_the_place_of_the_old_one_is_served() {
    let stack = stack().await;
    let gateway = &stack.gateways[0];
    let before = received(gateway.public(), || {
        stack.psql(&format!("{INSERT} ('end', 1)"));
    });
    assert_eq!(before.await, ["end"]);
    next_epoch(&stack).await;
    let server = |sql: &str| stack.postgres.psql("template1", sql).unwrap();
    server(&format!("drop database {DATABASE} with (force)"));
    server(&format!("create database {DATABASE}"));
    migrate(&stack.postgres, DATABASE, stack.logs()).unwrap();
    // no tick of the new history has a reading yet
    let latest = wait_for("the newest readings", Duration::from_secs(30), async || {
        let answer = http::get(gateway.public(), "/api/latest").await.unwrap();
        assert_ne!(answer.status, 410, "no cursor was given: {answer:?}");
        if answer.status == 200 { Ok(answer) } else { Err(answer) }
    });
    assert_eq!(latest.await.json()["readings"].as_array().unwrap().len(), 0);
    wait_for("the feed", Duration::from_secs(30), async || {
        let stale = gateway.metric("rowcast_gateway_stale").await.unwrap();
        if stale == 0.0 { Ok(()) } else { Err(stale) }
    })
    .await;
    let after = received(gateway.public(), || {
        stack.psql(&format!("{INSERT} ('new', 1), ('end', 1)"));
    });
    assert_eq!(after.await, ["new", "end"]);
}
