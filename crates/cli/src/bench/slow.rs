//! Clients beside the measured ones that read about 1 kB/s.

use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream, lookup_host},
    sync::watch,
    task::JoinSet,
    time::{self, Instant, sleep},
};
use wire::Start;

use super::{
    frames::write_client_frame,
    socket::{Address, Socket},
};
use crate::live::Live;

/// The kernel's minimum: what waits is queued at the gateway, not here.
const RECEIVE_BYTES: u32 = 4 << 10;

/// What is read at a time.
const READ_BYTES: usize = 1_000;

/// Between two reads.
const PAUSE: Duration = Duration::from_secs(1);

/// On one machine, a ping on a closed connection is reset at once.
const RESET_WITHIN: Duration = Duration::from_millis(250);

/// How many there were, and how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Slow {
    pub(super) clients: u32,
    /// Still connected at the end.
    pub(super) connected: u32,
}

/// N open slow clients, each of which follows everything.
pub(super) struct SlowReaders {
    leave: watch::Sender<bool>,
    readers: JoinSet<bool>,
}

impl SlowReaders {
    /// Opens them.
    pub(super) async fn open(gateway: &Address, clients: u32) -> anyhow::Result<Self> {
        let (leave, leaving) = watch::channel(false);
        let mut readers = JoinSet::new();
        for n in 0..clients {
            let stream = open(gateway).await.with_context(|| format!("slow client {n}"))?;
            let first = PAUSE.mul_f64(f64::from(n) / f64::from(clients));
            readers.spawn(read(stream, Instant::now() + first, leaving.clone()));
        }
        Ok(Self { leave, readers })
    }

    /// Closes them; returns how many were still open.
    pub(super) async fn close(self) -> Slow {
        self.leave.send_replace(true);
        let lasted = self.readers.join_all().await;
        let connected = lasted.iter().filter(|lasted| **lasted).count();
        Slow { clients: lasted.len() as u32, connected: connected as u32 }
    }
}

async fn open(gateway: &Address) -> anyhow::Result<TcpStream> {
    let address = lookup_host(gateway.host()).await?.next().context("the gateway has no address")?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_recv_buffer_size(RECEIVE_BYTES)?;
    let mut socket = Socket::open_on(socket.connect(address).await?, gateway).await?;
    socket.send(&Live::new(Vec::new(), Start::Now).on_open()).await?;
    Ok(socket.into_stream())
}

/// Reads until it must leave; whether the connection has lasted.
async fn read(mut stream: TcpStream, first: Instant, mut leaving: watch::Receiver<bool>) -> bool {
    let mut ticks = time::interval_at(first, PAUSE);
    loop {
        tokio::select! {
            _ = ticks.tick() => if is_gone(&stream) { return false },
            _ = leaving.wait_for(|leave| *leave) => break,
        }
    }
    // a gateway that has closed answers with a reset, even while what it wrote before waits to be read
    let mut ping = Vec::new();
    write_client_frame(9, &[], &mut ping);
    if stream.write_all(&ping).await.is_err() {
        return false;
    }
    sleep(RESET_WITHIN).await;
    let is_reset = !matches!(stream.take_error(), Ok(None));
    !is_reset && !is_gone(&stream)
}

fn is_gone(stream: &TcpStream) -> bool {
    match stream.try_read(&mut [0; READ_BYTES]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}
