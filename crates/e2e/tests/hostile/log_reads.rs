//! Clients that cause many reads of the log.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use e2e::client::{self, Socket, messages_until, subscribed};
use testkit::{proxy::LinkState, wait_for};

use crate::site::Site;

/// As many subscriptions as a client may have.
const GREEDY: u64 = 64;

/// Waits until the commands with these numbers are answered, in whatever order.
async fn answered(socket: &mut Socket, ids: impl IntoIterator<Item = u64>) {
    let mut left: BTreeSet<u64> = ids.into_iter().collect();
    while !left.is_empty() {
        let messages = messages_until(socket, |message| message.id.is_some()).await;
        for message in messages {
            assert!(message.error.is_none(), "{message:?}");
            left.retain(|id| message.id != Some(*id));
        }
    }
}

/// A connection that has sent nothing yet.
async fn connected(site: &Site) -> Socket {
    client::connect_v1(site.gateway().public()).await.unwrap()
}

/// A command that needs the log, because no window has its start.
fn read_of_log(id: u64) -> String {
    format!(r#"{{"id":{id},"subscribe":{{"from":{{"last":"{id}m"}}}}}}"#)
}

/// Sends many commands in one message, so that none is late.
async fn send_all(socket: &mut Socket, commands: impl Iterator<Item = String>) {
    client::send(socket, &format!("[{}]", commands.collect::<Vec<_>>().join(","))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_waits_for_its_own_reads_and_others_do_not() {
    let site = Site::start(&[]).await;
    site.write(10, 0);
    let (mut greedy, mut modest) = (connected(&site).await, connected(&site).await);
    let reads = site.gateway().metric("rowcast_gateway_replay_reads_total").await.unwrap();
    site.gateway().to_postgres.set(LinkState::Delayed);
    let began = Instant::now();
    send_all(&mut greedy, (1..=GREEDY).map(read_of_log)).await;
    wait_for("the first reads", Duration::from_secs(10), || async {
        let now = site.gateway().metric("rowcast_gateway_replay_reads_total").await.unwrap();
        if now > reads { Ok(()) } else { Err(now) }
    })
    .await;
    let sent = Instant::now();
    client::send(&mut modest, &read_of_log(1)).await;
    let (one, all) = tokio::join!(
        async {
            answered(&mut modest, [1]).await;
            sent.elapsed()
        },
        async {
            answered(&mut greedy, 1..=GREEDY).await;
            began.elapsed()
        }
    );
    assert!(one < all / 2, "{one:?} for one read beside {GREEDY}, which took {all:?}");
    site.gateway().to_postgres.set(LinkState::Open);
    site.serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_of_a_disconnected_client_are_cancelled() {
    let site = Site::start(&[]).await;
    site.write(10, 0);
    let (_, first) = subscribed(site.gateway().public(), "{}").await;
    let recent = first.ok.unwrap().pos.unwrap();
    let mut socket = connected(&site).await;
    site.gateway().to_postgres.set(LinkState::Frozen);
    send_all(&mut socket, (1..=GREEDY).map(read_of_log)).await;
    let unsubscribe = |sub| format!(r#"{{"id":{},"unsubscribe":{{"sub":{sub}}}}}"#, GREEDY + sub);
    send_all(&mut socket, (1..=GREEDY).map(unsubscribe)).await;
    answered(&mut socket, GREEDY + 1..=2 * GREEDY).await;
    // the window answers this one, after the reads before it
    client::send(&mut socket, &format!(r#"{{"id":1000,"subscribe":{{"from":"{recent}"}}}}"#)).await;
    answered(&mut socket, [1_000]).await;
    site.gateway().to_postgres.set(LinkState::Open);
    site.serves().await;
}
