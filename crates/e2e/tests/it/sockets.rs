//! Sockets against a real gateway: subscribe, resume, misbehave.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use e2e::{
    Plan, Stack,
    client::{self, messages_until, send, subscribed},
    http,
};
use futures_util::{SinkExt, StreamExt};
use testkit::wait_for;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::Message;
use wire::{Position, ServerMessage};

async fn stack(gateways: usize) -> Stack {
    Stack::start(Plan { gateways, listeners: 1 }).await.unwrap()
}

fn sensors(messages: &[ServerMessage]) -> Vec<String> {
    let data = messages.iter().filter_map(|message| message.data.as_ref());
    data.map(|data| client::event(data.get()).unwrap().sensor).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_gets_its_sensors_and_live_follows_the_snapshot_without_loss() {
    let stack = stack(1).await;
    let gateway = stack.gateways[0].public();
    stack.psql(
        "insert into sensor_readings (sensor_id, value) values ('a', 1), ('ab', 1), ('b', 1), ('b', 2)",
    );
    let live = |message: &ServerMessage| message.live.is_some();
    let mut all = Vec::new();
    // the feed may not have seen the rows yet: a snapshot is as of its head
    wait_for("the snapshot of three", Duration::from_secs(10), async || {
        let mut socket = client::connect_v1(gateway).await.unwrap();
        send(&mut socket, r#"{"id":1,"subscribe":{"from":"latest"}}"#).await;
        let messages = messages_until(&mut socket, live).await;
        let found = sensors(&messages);
        if found == ["a", "ab", "b"] { Ok(()) } else { Err(found) }
    })
    .await;
    let (mut socket, ok) = subscribed(gateway, r#"{"sensors":["a","b*"],"from":"latest"}"#).await;
    assert!(ok.ok.unwrap().pos.is_none());
    all.extend(messages_until(&mut socket, live).await);
    assert_eq!(sensors(&all), ["a", "b"]);
    assert!(all.iter().filter(|m| m.data.is_some()).all(|m| m.snap && m.pos.is_none()));
    stack.psql("insert into sensor_readings (sensor_id, value) values ('ab', 2), ('bc', 2), ('a', 2)");
    let events = messages_until(&mut socket, |message| message.data.is_some()).await;
    assert_eq!(sensors(&events), ["bc", "a"]);
    assert!(events.iter().all(|event| event.pos.is_some()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_is_valid_at_every_gateway_and_beyond_the_window() {
    let stack = Stack::start_with(
        Plan { gateways: 2, listeners: 1 },
        &[("ws-gateway:ROWCAST_GATEWAY__WINDOW_BYTES", "1048576")],
    )
    .await
    .unwrap();
    let (mut socket, ok) = subscribed(stack.gateways[0].public(), "{}").await;
    let start = ok.ok.unwrap().pos.unwrap();
    // about 10 MB: the window holds the last of it
    for round in 0..20 {
        stack.psql(&format!(
            "insert into sensor_readings (sensor_id, value, metadata)
             select 's', {round} * 100 + n, jsonb_build_object('text', repeat('x', 5000)) from generate_series(0, 99) n"
        ));
    }
    let mut positions = vec![(start, 0)];
    let mut seen = 0;
    while seen < 2000 {
        for message in client::next_messages(&mut socket).await.unwrap() {
            if message.data.is_some() {
                seen += 1;
                positions.push((message.pos.unwrap(), seen));
            }
        }
    }
    for (position, seen) in positions.into_iter().step_by(400) {
        let body = format!(r#"{{"from":"{position}"}}"#);
        let (mut socket, ok) = subscribed(stack.gateways[1].public(), &body).await;
        let ok = ok.ok.unwrap();
        assert_eq!((ok.pos, ok.resumed), (Some(position), Some(true)));
        let messages = messages_until(&mut socket, |message| message.live.is_some()).await;
        let values: Vec<i64> =
            messages.iter().filter_map(|m| Some(client::event(m.data.as_ref()?.get())?.value)).collect();
        assert_eq!(values, (seen..2000).collect::<Vec<_>>(), "behind {position}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn past_retention_a_client_gets_a_gap() {
    let stack = stack(1).await;
    let gateway = stack.gateways[0].public();
    let (mut socket, ok) = subscribed(gateway, "{}").await;
    let start = ok.ok.unwrap().pos.unwrap();
    for value in 0..3 {
        stack.psql(&format!("insert into sensor_readings (sensor_id, value) values ('s', {value})"));
        messages_until(&mut socket, |message| message.data.is_some()).await;
    }
    stack.psql("delete from rowcast.tick where no < (select max(no) from rowcast.tick)");
    // a new gateway has no window to resume from, nor a stream to fill one
    let mut stack = stack;
    stack.redis.command(&["FLUSHALL"]).unwrap();
    stack.gateways[0].crash_and_start().unwrap();
    stack.gateways[0].await_ready().await;
    let (mut socket, first) = subscribed(gateway, &format!(r#"{{"from":"{start}"}}"#)).await;
    let gap = first.gap.unwrap();
    assert_eq!((gap.from, gap.reason), (start, wire::frame::GapReason::Retention));
    let messages = messages_until(&mut socket, |message| message.live.is_some()).await;
    assert_eq!(messages[0].ok.unwrap().resumed, Some(false));
    assert_eq!(messages[0].ok.unwrap().pos, Some(gap.to));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_history_is_a_new_epoch_and_its_clients_are_notified() {
    let mut stack = stack(1).await;
    let gateway = stack.gateways[0].public();
    let (mut socket, ok) = subscribed(gateway, "{}").await;
    let old = ok.ok.unwrap().pos.unwrap();
    stack.psql("insert into sensor_readings (sensor_id, value) values ('s', 1)");
    messages_until(&mut socket, |message| message.data.is_some()).await;
    // as a dump restored elsewhere: the ticks are another system's
    stack.psql("update rowcast.epoch set system_identifier = 5");
    stack.listeners[0].crash_and_start().unwrap();
    stack.await_ready().await;
    stack.psql("insert into sensor_readings (sensor_id, value) values ('s', 2)");
    // both may be in one frame
    let messages = messages_until(&mut socket, |message| message.data.is_some()).await;
    let mut told = messages.into_iter().filter(|message| message.gap.is_some() || message.data.is_some());
    let gap = told.next().unwrap().gap.expect("the gap comes before anything of the new epoch");
    assert_eq!(gap.reason, wire::frame::GapReason::Epoch);
    assert!(gap.to.epoch > old.epoch);
    assert_eq!(told.next().unwrap().pos.unwrap().epoch, gap.to.epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_protocol_violation_has_its_code() {
    let stack = stack(1).await;
    let gateway = stack.gateways[0].public();
    let code = async |bytes: Vec<u8>| -> Result<u16> {
        let mut stream = TcpStream::connect(gateway).await?;
        stream.write_all(b"GET /ws/sensors/?v=1 HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").await?;
        stream.write_all(&bytes).await?;
        let mut received = Vec::new();
        tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut received)).await??;
        let close =
            received.windows(2).rposition(|pair| pair[0] == 0x88 && usize::from(pair[1]) < 126).unwrap();
        Ok(u16::from_be_bytes([received[close + 2], received[close + 3]]))
    };
    let masked = |opcode: u8, payload: &[u8]| {
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            short @ ..126 => frame.push(0x80 | short as u8),
            long => {
                frame.push(0xff);
                frame.extend_from_slice(&(long as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(payload);
        frame
    };
    assert_eq!(code(masked(2, b"binary")).await.unwrap(), 1003);
    assert_eq!(code(masked(1, b"\xff\xfe")).await.unwrap(), 1007);
    assert_eq!(code(masked(1, &vec![b'x'; 70_000])).await.unwrap(), 1009);
    assert_eq!(code(masked(3, b"")).await.unwrap(), 1002, "a reserved opcode");
    assert_eq!(code(vec![0x81, 1, b'x']).await.unwrap(), 1002, "an unmasked frame");
    assert_eq!(code(masked(1, b"no json")).await.unwrap(), 4400);
    let fragment = |first: u8| [&[first, 0x80][..], &[0; 4]].concat();
    let fragments = [fragment(1), fragment(0).repeat(100)].concat();
    assert_eq!(code(fragments).await.unwrap(), 1008, "more fragments than a message may have");
    let plain = http::get(gateway, "/ws/sensors/").await.unwrap();
    assert_eq!(plain.status, 426, "{}", plain.body);
}

/// A client that reads nothing is closed, and the others are not affected.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_reading_is_closed_and_others_get_everything() {
    let ping = [("ws-gateway:ROWCAST_PING__EVERY", "1s"), ("ws-gateway:ROWCAST_PING__DEADLINE", "3s")];
    let stack = Stack::start_with(Plan { gateways: 1, listeners: 1 }, &ping).await.unwrap();
    let gateway = stack.gateways[0].public();
    let (stuck, _) = subscribed(gateway, "{}").await;
    let (mut quick, _) = subscribed(gateway, "{}").await;
    let seen = Arc::new(AtomicUsize::new(0));
    // a client that reads answers pings
    let mut reading = tokio::task::JoinSet::new();
    reading.spawn({
        let seen = seen.clone();
        async move {
            while let Ok(messages) = client::next_messages(&mut quick).await {
                seen.fetch_add(messages.iter().filter(|m| m.data.is_some()).count(), Ordering::Relaxed);
            }
        }
    });
    for _ in 0..60 {
        stack.psql(
            "insert into sensor_readings (sensor_id, value, metadata)
             select 's', n, jsonb_build_object('text', repeat('x', 5000)) from generate_series(1, 50) n",
        );
    }
    wait_for("everything at the other client", Duration::from_secs(60), async || {
        match seen.load(Ordering::Relaxed) {
            3000 => Ok(()),
            seen => Err(seen),
        }
    })
    .await;
    wait_for("the end of the stuck client", Duration::from_secs(20), async || {
        let text = http::get(stack.gateways[0].admin, "/metrics").await.unwrap().body;
        let line = text.lines().find(|line| line.contains(r#"closes_total{reason="no-pong"}"#));
        if line.is_some_and(|line| line.ends_with(" 1")) { Ok(()) } else { Err(line.map(str::to_owned)) }
    })
    .await;
    let open = stack.gateways[0].metric("rowcast_gateway_sessions").await.unwrap();
    assert_eq!(open, 1.0, "the other one stays");
    drop(stuck);
}

/// A client that reads slowly is not closed: it gets everything at its own speed.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_gets_everything_once() {
    let stack = stack(1).await;
    let (mut slow, _) = subscribed(stack.gateways[0].public(), "{}").await;
    for round in 0..40 {
        stack.psql(&format!(
            "insert into sensor_readings (sensor_id, value, metadata)
             select 's', {round} * 50 + n, jsonb_build_object('text', repeat('x', 5000)) from generate_series(0, 49) n"
        ));
    }
    // nothing was read while 10 MB were written: more than its queues hold
    let behind = async || stack.gateways[0].metric("rowcast_gateway_fell_behind_total").await.unwrap();
    let mut values = Vec::new();
    let mut last = Position::default();
    while values.len() < 2000 {
        for message in client::next_messages(&mut slow).await.unwrap() {
            if let Some(data) = &message.data {
                values.push(client::event(data.get()).unwrap().value);
                assert!(message.pos.unwrap() > last, "in the one order");
                last = message.pos.unwrap();
            }
        }
    }
    assert_eq!(values, (0..2000).collect::<Vec<_>>());
    assert!(behind().await > 0.0, "it continued from the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_vanishes_counts_as_lost_and_not_as_an_error() {
    let stack = stack(1).await;
    drop(subscribed(stack.gateways[0].public(), "{}").await);
    wait_for("the end of the client", Duration::from_secs(10), async || {
        let text = http::get(stack.gateways[0].admin, "/metrics").await.unwrap().body;
        let closes = text.lines().filter(|line| line.contains("closes_total{") && !line.ends_with(" 0"));
        match closes.collect::<Vec<_>>()[..] {
            [] => Err(()),
            [one] => {
                assert_eq!(one, r#"rowcast_gateway_closes_total{reason="lost"} 1"#);
                Ok(())
            }
            ref several => panic!("{several:?}"),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_of_either_kind_is_answered() {
    let stack = stack(1).await;
    let (mut socket, _) = subscribed(stack.gateways[0].public(), "{}").await;
    send(&mut socket, r#"{"ping":{}}"#).await;
    assert!(client::next_messages(&mut socket).await.unwrap()[0].pong.is_some());
    socket.send(Message::Ping("x".into())).await.unwrap();
    loop {
        if let Message::Pong(payload) = socket.next().await.unwrap().unwrap() {
            assert_eq!(&payload[..], b"x");
            return;
        }
    }
}
