//! `rowcast bench idle`: the memory of an idle client, and how much of it is released after it has left.

use std::{cell::RefCell, io, time::Duration};

use anyhow::{Context, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use wire::Start;

use super::{
    processes,
    round::round,
    socket::{Address, SCRATCH_BYTES, Socket},
};
use crate::{
    args::{BenchIdle, ClientForm},
    live::Live,
};

/// How many are opened at a time.
const OPENING: usize = 32;

/// The longest beginning of an answer.
const ANSWER_BYTES: usize = 64 << 10;

/// The report.
#[derive(Debug, Serialize)]
pub(super) struct Idle {
    schema: u32,
    form: ClientForm,
    clients: u32,
    pid: u32,
    rss_before_bytes: u64,
    rss_after_bytes: u64,
    bytes_per_client: f64,
    /// Clients whose connection did not last.
    disconnected: usize,
    /// CPU seconds a second while the clients were held.
    cores_while_held: f64,
    /// At the end of the time for the release.
    rss_left_bytes: u64,
    /// Seconds until nine tenths were released; none if they were not.
    given_back_s: Option<f64>,
}

/// Opens the clients, waits, and compares the gateway's memory; then the same without them.
pub(super) async fn measure(options: &BenchIdle) -> anyhow::Result<Idle> {
    let pid = options.pid.map_or_else(|| processes::only("ws-gateway"), Ok)?;
    let usage = || processes::usage(pid).with_context(|| format!("process {pid} is gone"));
    let gateway = Address::of(&options.gateway)?;
    let before = usage()?;
    let scratch = RefCell::new(vec![0; SCRATCH_BYTES]);
    let open = |n: u32| {
        let (gateway, scratch) = (&gateway, &scratch);
        async move {
            let opened = timeout(Duration::from_secs(30), open(options.form, gateway, n, scratch)).await;
            opened.context("no answer").flatten().with_context(|| format!("client {n}"))
        }
    };
    let clients: Vec<TcpStream> =
        stream::iter((0..options.clients).map(open)).buffer_unordered(OPENING).try_collect().await?;
    let opened = usage()?;
    sleep(options.hold).await;
    let after = usage()?;
    let disconnected = clients.iter().filter(|client| has_ended(client)).count();
    drop(clients);
    let grown = after.rss_bytes.saturating_sub(before.rss_bytes);
    let (left, released) = (Instant::now(), before.rss_bytes + grown / 10);
    let mut given_back_s = None;
    while given_back_s.is_none() && left.elapsed() < options.release {
        sleep(Duration::from_millis(250)).await;
        given_back_s = (usage()?.rss_bytes <= released).then(|| round(left.elapsed().as_secs_f64()));
    }
    Ok(Idle {
        schema: 1,
        form: options.form,
        clients: options.clients,
        pid,
        rss_before_bytes: before.rss_bytes,
        rss_after_bytes: after.rss_bytes,
        bytes_per_client: round(grown as f64 / f64::from(options.clients)),
        disconnected,
        cores_while_held: round(
            (after.cpu_seconds - opened.cpu_seconds) / options.hold.as_secs_f64().max(0.001),
        ),
        rss_left_bytes: usage()?.rss_bytes,
        given_back_s,
    })
}

/// An open connection.
async fn open(
    form: ClientForm,
    gateway: &Address,
    n: u32,
    scratch: &RefCell<Vec<u8>>,
) -> anyhow::Result<TcpStream> {
    let sensor = format!("idle-{n}");
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n";
    let (request, answered) = match form {
        ClientForm::V1 => {
            let live = Live::new(vec![sensor], Start::Now);
            return Ok(Socket::subscribed(gateway, live, scratch).await?.0.into_stream());
        }
        // a client that sends nothing is served by its query
        ClientForm::Silent => {
            (format!("GET /ws/sensors/?v=1&sensor={sensor} HTTP/1.1\r\n{upgrade}"), "\"ok\":{")
        }
        ClientForm::Demo => (format!("GET /ws/sensors/ HTTP/1.1\r\n{upgrade}"), "\r\n\r\n"),
        ClientForm::Events => (format!("GET /sse/sensors/?sensor={sensor} HTTP/1.1\r\n"), "event: live"),
    };
    let mut client = gateway.connect().await.context("connecting")?;
    client
        .write_all(
            format!("{request}Host: {}\r\n{}\r\n", gateway.host(), gateway.authorization()?).as_bytes(),
        )
        .await?;
    let mut answer = Vec::with_capacity(1 << 10);
    while memchr::memmem::find(&answer, answered.as_bytes()).is_none() {
        ensure!(answer.len() < ANSWER_BYTES, "unexpected answer of the gateway: {answer:.200?}");
        ensure!(client.read_buf(&mut answer).await? > 0, "the gateway closed");
    }
    Ok(client)
}

fn has_ended(client: &TcpStream) -> bool {
    let mut buffer = [0; 4 << 10];
    loop {
        match client.try_read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

impl Idle {
    /// For people.
    pub(super) fn text(&self) -> String {
        let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
        let released = match self.given_back_s {
            Some(after) => format!("nine tenths released after {after:.1} s"),
            None => "nine tenths not released".to_owned(),
        };
        format!(
            "{} idle clients ({}): {:.0} bytes each ({:.1} MiB before, {:.1} MiB after, {} disconnected), {:.2} cores; \
             after they left {:.1} MiB, {released}",
            self.clients,
            self.form,
            self.bytes_per_client,
            mib(self.rss_before_bytes),
            mib(self.rss_after_bytes),
            self.disconnected,
            self.cores_while_held,
            mib(self.rss_left_bytes),
        )
    }
}
