//! Subscribing and resuming in large numbers: after "subscribed" nothing is missed, and many clients cost the log no more
//! than one.

use e2e::{
    Plan, Stack,
    client::{self, Socket, messages_until, send, subscribed},
    http,
};
use tokio::task::JoinSet;
use wire::{Position, ServerMessage};

async fn stack(env: &[(&str, &str)]) -> Stack {
    Stack::start_with(Plan { gateways: 1, listeners: 1 }, env).await.unwrap()
}

fn values(messages: &[ServerMessage]) -> Vec<i64> {
    let data = messages.iter().filter_map(|message| message.data.as_ref());
    data.map(|data| client::event(data.get()).unwrap().value).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_inserted_right_after_ok_always_arrives() {
    const SOCKETS: usize = 10;
    const TIMES: usize = 100;
    let stack = stack(&[("ws-gateway:ROWCAST_LIMITS__COMMANDS_PER_S", "1000")]).await;
    let (gateway, ingest) = (stack.gateways[0].public(), stack.ingest.public());
    let mut sockets = JoinSet::new();
    for number in 0..SOCKETS {
        sockets.spawn(async move {
            let (mut socket, _) = subscribed(gateway, r#"{"sensors":["nobody"]}"#).await;
            for time in 0..TIMES {
                let sensor = format!("s-{number}-{time}");
                send(&mut socket, &format!(r#"{{"id":7,"subscribe":{{"sensors":["{sensor}"]}}}}"#)).await;
                let ok = messages_until(&mut socket, |message| message.id == Some(7)).await;
                let sub = ok.last().unwrap().ok.unwrap().sub;
                let body = format!(r#"{{"sensor_id":"{sensor}","value":{time}}}"#);
                assert_eq!(http::post(ingest, "/api/sensors/", &body).await.unwrap().status, 201);
                // the test fails when nothing arrives
                let event = messages_until(&mut socket, |message| message.data.is_some()).await;
                assert_eq!(values(&event), [time as i64]);
                send(&mut socket, &format!(r#"{{"id":8,"unsubscribe":{{"sub":{sub}}}}}"#)).await;
                messages_until(&mut socket, |message| message.id == Some(8)).await;
            }
        });
    }
    assert_eq!(sockets.join_all().await.len(), SOCKETS);
}

/// Positions after each of the readings, which are in ticks of their own.
async fn written(stack: &Stack, socket: &mut Socket, ticks: i64) -> Vec<(Position, i64)> {
    let mut positions = Vec::new();
    for value in 0..ticks {
        // 20 kB each, so that a window of 1 MiB holds the last of them only
        stack.psql(&format!(
            "insert into sensor_readings (sensor_id, value, metadata)
             values ('s', {value}, jsonb_build_object('text', repeat('x', 20000)))"
        ));
        let event = messages_until(socket, |message| message.data.is_some()).await;
        positions.push((event.last().unwrap().pos.unwrap(), value));
    }
    positions
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_that_resume_cost_postgres_as_much_as_one() {
    const CLIENTS: usize = 300;
    const TICKS: i64 = 120;
    let mut stack = stack(&[("ws-gateway:ROWCAST_GATEWAY__WINDOW_BYTES", "1048576")]).await;
    let gateway = stack.gateways[0].public();
    let (mut socket, _) = subscribed(gateway, "{}").await;
    let positions = written(&stack, &mut socket, TICKS).await;
    stack.gateways[0].crash_and_start().unwrap();
    stack.gateways[0].await_ready().await;
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (position, value) = positions[number % (positions.len() / 2)];
        clients.spawn(async move {
            let (mut socket, ok) = subscribed(gateway, &format!(r#"{{"from":"{position}"}}"#)).await;
            assert_eq!(ok.ok.unwrap().resumed, Some(true));
            let replay = messages_until(&mut socket, |message| message.live.is_some()).await;
            assert_eq!(values(&replay), (value + 1..TICKS).collect::<Vec<_>>(), "behind {position}");
        });
    }
    assert_eq!(clients.join_all().await.len(), CLIENTS);
    let reads = stack.gateways[0].metric("rowcast_gateway_replay_reads_total").await.unwrap();
    assert!(reads > 0.0, "the window does not reach back so far");
    assert!(reads <= 60.0, "{reads} reads of Postgres for {CLIENTS} clients");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_gateway_resumes_clients_from_the_stream() {
    let mut stack = stack(&[]).await;
    let gateway = stack.gateways[0].public();
    let (mut socket, _) = subscribed(gateway, "{}").await;
    let positions = written(&stack, &mut socket, 20).await;
    stack.gateways[0].crash_and_start().unwrap();
    stack.gateways[0].await_ready().await;
    let (position, value) = positions[3];
    let (mut socket, _) = subscribed(gateway, &format!(r#"{{"from":"{position}"}}"#)).await;
    let replay = messages_until(&mut socket, |message| message.live.is_some()).await;
    assert_eq!(values(&replay), (value + 1..20).collect::<Vec<_>>());
    let reads = stack.gateways[0].metric("rowcast_gateway_replay_reads_total").await.unwrap();
    assert_eq!(reads, 0.0, "its window was filled from the stream");
}
