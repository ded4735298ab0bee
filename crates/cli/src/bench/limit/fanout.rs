//! The bare fan-out: the same frames, encoded once, written to every socket as fast as it takes them.

use std::rc::Rc;

use anyhow::{Context, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use wire::{
    Epoch, Position, Reading, Tick,
    frame::{write_event_head, write_event_tail},
};

use super::server::serve;
use crate::{
    args::Load,
    bench::{
        audience::{Audience, Received},
        clock::{Clock, Window},
        follows::Follows,
        frames::write_server_text,
        limits::Fanout,
        round::round,
        socket::Address,
    },
};

/// Events in a frame, as 20 readings a request make them.
const EVENTS: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Attach,
    Write,
    Stop,
}

/// Deliveries to this many clients.
pub(in crate::bench) async fn measure(clients: u32, load: &Load) -> anyhow::Result<Fanout> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let gateway = Address::parse(&format!("http://{}", listener.local_addr()?))?;
    let frame = frame();
    let event_bytes = frame.len() / EVENTS;
    let (phase, phases) = watch::channel(Phase::Attach);
    let server = serve(move || write_all(listener, clients, frame, phases))?;
    let clock = Clock::start();
    let audience = Audience::open(gateway, clients as usize, clock, |_| Follows::Everything).await?;
    let window = Window::after(clock.micros(), load.warmup, load.duration);
    phase.send_replace(Phase::Write);
    tokio::time::sleep_until(clock.at(window.to).into()).await;
    phase.send_replace(Phase::Stop);
    let received = audience.close().await?;
    server.join().ok().context("the bare fan-out died")??;
    let deliveries: usize = received.iter().map(|client| arrivals(client, &window)).sum();
    Ok(Fanout {
        clients,
        events_per_frame: EVENTS,
        bytes_per_event: event_bytes,
        deliveries_per_s: round(deliveries as f64 / window.seconds()),
    })
}

fn arrivals(client: &Received, window: &Window) -> usize {
    let mut from = 0;
    let each = client.moments.iter().map(|(to, at)| {
        let count = to - std::mem::replace(&mut from, *to);
        if window.contains(*at) { count } else { 0 }
    });
    each.sum()
}

async fn write_all(
    listener: std::net::TcpListener,
    clients: u32,
    frame: Vec<u8>,
    phases: watch::Receiver<Phase>,
) -> anyhow::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let frame = Rc::new(frame);
    let mut writers = JoinSet::new();
    for _ in 0..clients {
        let (stream, _) = listener.accept().await?;
        writers.spawn_local(write(stream, frame.clone(), phases.clone()));
    }
    // a client that leaves in the middle of a frame is how each run ends
    writers.join_all().await.into_iter().filter(|written| written.is_err()).for_each(drop);
    Ok(())
}

/// One socket: attaches like a gateway, then writes a frame at a time.
async fn write(
    mut stream: TcpStream,
    frame: Rc<Vec<u8>>,
    mut phases: watch::Receiver<Phase>,
) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        ensure!(stream.read_buf(&mut request).await? > 0, "the client left");
    }
    let request = String::from_utf8(request)?;
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).context("no key")?;
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n\
         Sec-WebSocket-Protocol: {}\r\n\r\n",
        derive_accept_key(key.as_bytes()),
        wire::SUBPROTOCOL
    );
    stream.write_all(answer.as_bytes()).await?;
    ensure!(stream.read(&mut [0; 1_024]).await? > 0, "the client left without a subscription");
    let mut attached = Vec::new();
    write_server_text(br#"{"id":1,"ok":{"sub":1,"pos":"1.1"}}"#, &mut attached);
    stream.write_all(&attached).await?;
    phases.wait_for(|phase| *phase != Phase::Attach).await?;
    tokio::select! {
        biased;
        stopped = phases.wait_for(|phase| *phase == Phase::Stop) => Ok(stopped.map(|_| ())?),
        written = async { loop { stream.write_all(&frame).await? } } => written,
    }
}

/// A frame with as many bytes an event as `bench` makes the gateway send.
fn frame() -> Vec<u8> {
    let at = time::OffsetDateTime::UNIX_EPOCH;
    let mut text = vec![b'['];
    for n in 0..EVENTS as i64 {
        let reading = Reading {
            id: 1_000_000 + n,
            sensor_id: "bench-0001".to_owned(),
            value: 21.57,
            timestamp: at,
            metadata: r#"{"unit":"C"}"#.to_owned(),
            created_at: at,
            updated_at: at,
        };
        let mut data = Vec::new();
        reading.write_json(&mut data);
        text.extend_from_slice(if n > 0 { b"," } else { b"" });
        write_event_head(1, &mut text);
        write_event_tail(Position::new(Epoch(1), Tick(100_000), reading.id), &data, &mut text);
    }
    text.push(b']');
    let mut frame = Vec::with_capacity(text.len() + 4);
    write_server_text(&text, &mut frame);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn the_same_clients_receive_what_the_bare_server_writes() {
        let load = Load {
            connections: 1,
            readings: 20,
            sensors: 1,
            duration: Duration::from_millis(200),
            warmup: Duration::ZERO,
        };
        let fanout = measure(3, &load).await.unwrap();
        assert!(fanout.deliveries_per_s > 0.0, "{fanout:?}");
        assert!((200..300).contains(&fanout.bytes_per_event), "{fanout:?}");
    }
}
