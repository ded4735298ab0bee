//! `rowcast bench idle`: what a socket costs on which nothing happens.

use serde::Serialize;

use super::{audience::Audience, clock::Clock, follows::Follows, processes, socket::Address};
use crate::args::BenchIdle;

/// The report.
#[derive(Debug, Serialize)]
pub(super) struct Idle {
    schema: u32,
    clients: u32,
    pid: u32,
    rss_before_bytes: u64,
    rss_after_bytes: u64,
    bytes_per_socket: f64,
    /// Sockets that did not last.
    disconnected: usize,
    /// CPU seconds a second while the sockets were held.
    cores_while_held: f64,
}

/// Opens the sockets, waits, and compares the gateway's memory.
pub(super) async fn measure(options: &BenchIdle) -> anyhow::Result<Idle> {
    let pid = options.pid.map_or_else(|| processes::only("ws-gateway"), Ok)?;
    let usage = || processes::usage(pid).ok_or_else(|| anyhow::anyhow!("process {pid} is gone"));
    let before = usage()?;
    let sensors = |n: usize| Follows::Other(format!("idle-{n}"));
    let gateway = Address::parse(&options.gateway.url)?;
    let audience = Audience::open(gateway, options.clients as usize, Clock::start(), sensors).await?;
    let opened = usage()?;
    tokio::time::sleep(options.hold).await;
    let after = usage()?;
    let heard = audience.leave().await?;
    let grown = after.rss_bytes as f64 - before.rss_bytes as f64;
    let round = super::report::round;
    Ok(Idle {
        schema: 1,
        clients: options.clients,
        pid,
        rss_before_bytes: before.rss_bytes,
        rss_after_bytes: after.rss_bytes,
        bytes_per_socket: round(grown / f64::from(options.clients)),
        disconnected: heard.iter().filter(|client| client.ended.is_some()).count(),
        cores_while_held: round(
            (after.cpu_seconds - opened.cpu_seconds) / options.hold.as_secs_f64().max(0.001),
        ),
    })
}

impl Idle {
    /// For people.
    pub(super) fn text(&self) -> String {
        format!(
            "{} idle sockets: {:.0} bytes each ({:.1} MiB before, {:.1} MiB after, {} disconnected), {:.2} cores",
            self.clients,
            self.bytes_per_socket,
            self.rss_before_bytes as f64 / 1_048_576.0,
            self.rss_after_bytes as f64 / 1_048_576.0,
            self.disconnected,
            self.cores_while_held
        )
    }
}
