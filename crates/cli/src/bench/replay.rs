//! `rowcast bench replay`: how fast the gateway replays to one client what it missed.

use std::{cell::RefCell, sync::Arc, time::Duration};

use anyhow::Context;
use serde::Serialize;
use wire::Start;

use super::{
    admin::Admin,
    audience::{Audience, Received},
    clock::Clock,
    faults::Faults,
    follows::Follows,
    ledger::{Account, Ledger},
    load::Plan,
    resumer::Resumer,
    round::round,
    socket::{Address, SCRATCH_BYTES, Socket},
};
use crate::{args::BenchReplay, live::Live};

/// For the delivery of the readings to the live client, and again for the replay.
pub(super) const LIMIT: Duration = Duration::from_secs(120);

/// The report.
#[derive(Debug, Default, Serialize)]
pub(super) struct Replay {
    schema: u32,
    /// POSTed and answered with 201.
    pub(super) readings: u64,
    /// POSTs that were not answered with 201.
    pub(super) not_stored: u64,
    /// From `ok` to `live`.
    pub(super) readings_per_s: f64,
    /// From the beginning of the connection to `ok`.
    attach_ms: f64,
    /// From `ok` to `live`.
    replay_ms: f64,
    /// Reads of Postgres that the gateway made meanwhile; absent without its admin address.
    #[serde(skip_serializing_if = "Option::is_none")]
    postgres_reads: Option<f64>,
    /// Of the client that was connected all the time.
    pub(super) live: Faults,
    /// Of the client that resumed.
    pub(super) resumed: Faults,
}

/// Notes a position, writes, and resumes from there with a fresh client.
pub(super) async fn measure(options: &BenchReplay, limit: Duration) -> anyhow::Result<Replay> {
    let gateway = Address::of(&options.gateway)?;
    let ingest = Address::parse(&options.ingest.url)?;
    let admin = options.gateway_admin.as_deref().map(Admin::parse).transpose()?;
    let clock = Clock::start();
    let scratch = RefCell::new(vec![0; SCRATCH_BYTES]);
    let mut audience = Audience::open(gateway.clone(), 1, clock, |_| Follows::Everything).await?;
    let (_, pos) = Socket::subscribed(&gateway, Live::new(Vec::new(), Start::Now), &scratch).await?;
    let pos = Some(pos.context("the gateway gave no position")?);
    let sent = Plan::of_readings(ingest, options.readings, &options.posts, clock).run().await;
    let ledger = Arc::new(Ledger::new(&sent.writes));
    audience.settle(ledger.clone(), limit).await;
    let live = Faults::of(&ledger, &audience.close().await?);
    let reads = Admin::replay_reads(admin.as_ref()).await?;
    let before =
        Received { pos, account: Account::new(&ledger, &Follows::Everything), ..Received::default() };
    let began = clock.micros();
    let (received, times) = Resumer::new(&gateway, &ledger, clock).resume(before, limit).await;
    let reads = reads.zip(Admin::replay_reads(admin.as_ref()).await?);
    let attached = times.attached.unwrap_or(began);
    let replay_ms = times.live.map_or(0.0, |live| (live - attached) as f64 / 1_000.0);
    let per_s = received.ids.len() as f64 * 1_000.0 / replay_ms;
    Ok(Replay {
        schema: 1,
        readings: ledger.len() as u64,
        not_stored: sent.not_stored(),
        readings_per_s: if replay_ms > 0.0 { round(per_s) } else { 0.0 },
        attach_ms: (attached - began) as f64 / 1_000.0,
        replay_ms,
        postgres_reads: reads.map(|(before, after)| after - before),
        live,
        resumed: Faults::of(&ledger, &[received]),
    })
}

impl Replay {
    /// Whether both clients got everything once and in order.
    pub(super) fn is_clean(&self) -> bool {
        self.live.is_clean() && self.resumed.is_clean() && self.readings > 0
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut lines = vec![format!(
            "replay of {} readings: {:.0} readings/s, {:.0} ms from ok to live, ok after {:.1} ms",
            self.readings, self.readings_per_s, self.replay_ms, self.attach_ms
        )];
        lines.extend(self.postgres_reads.map(|reads| format!("reads of Postgres meanwhile: {reads}")));
        lines.push(format!("live client      {}", self.live.text()));
        lines.push(format!("resumed client   {}", self.resumed.text()));
        lines.push(format!("posts            {} not stored", self.not_stored));
        lines.join("\n")
    }
}
