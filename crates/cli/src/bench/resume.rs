//! `rowcast bench resume`: how soon the clients of a gateway that was killed have everything from another.

use std::{cell::RefCell, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use futures_util::{StreamExt, stream::FuturesUnordered};
use serde::Serialize;
use tokio::time::timeout;
use wire::Start;

use super::{
    admin::Admin,
    audience::{Audience, Received},
    clock::Clock,
    faults::Faults,
    follows::Follows,
    frames::Frame,
    histogram::{Histogram, Summary},
    ledger::{Ledger, Write},
    load::{Plan, Sent},
    processes,
    resumer::{Resumer, Times},
    scan::IdScanner,
    socket::{Address, Read, SCRATCH_BYTES, Socket},
};
use crate::{args::BenchResume, live::Live};

/// Until the first reading comes to the first gateway's first client.
const RECEIVED_WITHIN: Duration = Duration::from_secs(20);

/// Until every client has noticed that its gateway is gone.
const NOTICED_WITHIN: Duration = Duration::from_secs(30);

/// Until every client has everything from the other gateway.
pub(super) const LIMIT: Duration = Duration::from_secs(120);

/// The report.
#[derive(Debug, Default, Serialize)]
pub(super) struct Resume {
    schema: u32,
    clients: u32,
    /// Written just before the kill and after it, and answered with 201.
    pub(super) readings: u64,
    /// POSTs that were not answered with 201.
    not_stored: u64,
    /// How many of them the clients had when the gateway was killed.
    had: Had,
    /// Of each client, from the first connect of all until it was live and had everything.
    pub(super) ms: Summary,
    /// Clients that were not within two minutes.
    pub(super) incomplete: u64,
    /// Reads of Postgres that the other gateway made meanwhile; absent without its admin address.
    #[serde(skip_serializing_if = "Option::is_none")]
    postgres_reads: Option<f64>,
    #[serde(flatten)]
    pub(super) ledger: Faults,
}

#[derive(Debug, Default, Serialize)]
struct Had {
    least: usize,
    most: usize,
}

/// Opens clients at one gateway, kills it, writes, and lets all reconnect at once to the other.
pub(super) async fn measure(options: &BenchResume, limit: Duration) -> anyhow::Result<Resume> {
    let pid = options.pid.map_or_else(|| processes::only("ws-gateway"), Ok)?;
    let gateway = Address::of(&options.gateway)?;
    let other = Address::parse(&options.other)?;
    let ingest = Address::parse(&options.ingest.url)?;
    let admin = options.other_admin.as_deref().map(Admin::parse).transpose()?;
    let clock = Clock::start();
    let probe = Probe::open(&gateway).await?;
    let mut audience =
        Audience::open(gateway, options.clients as usize, clock, |_| Follows::Everything).await?;
    let plan = Plan::of_readings(ingest, options.readings, &options.posts, clock);
    let (before, probed) = tokio::join!(plan.run(), probe.first_reading());
    probed?;
    // the readings are on their way: some clients have some of them
    processes::kill_and_wait(pid).await?;
    let after = plan.run().await;
    let ledger = Arc::new(Ledger::new(&all_writes(&before, &after)));
    audience.settle(ledger.clone(), NOTICED_WITHIN).await;
    let received = audience.close().await?;
    let had = Had::of(&received).context("there is a client")?;
    let reads = Admin::replay_reads(admin.as_ref()).await?;
    let first = clock.micros();
    let returned = resume_all(&Resumer::new(&other, &ledger, clock), received, limit).await;
    let reads = reads.zip(Admin::replay_reads(admin.as_ref()).await?);
    let mut times = Histogram::default();
    returned.iter().filter_map(|(_, times)| times.complete).for_each(|at| times.record(at - first));
    let received: Vec<Received> = returned.into_iter().map(|(received, _)| received).collect();
    let ms = times.summary();
    Ok(Resume {
        schema: 1,
        clients: options.clients,
        readings: ledger.len() as u64,
        not_stored: before.not_stored() + after.not_stored(),
        had,
        ms,
        incomplete: u64::from(options.clients) - ms.count,
        postgres_reads: reads.map(|(before, after)| after - before),
        ledger: Faults::of(&ledger, &received),
    })
}

/// One more client, the first of all: once it receives, so do the others.
struct Probe {
    socket: Socket,
    scratch: RefCell<Vec<u8>>,
}

impl Probe {
    async fn open(gateway: &Address) -> anyhow::Result<Self> {
        let scratch = RefCell::new(vec![0; SCRATCH_BYTES]);
        let live = Live::new(Vec::new(), Start::Now);
        Ok(Self { socket: Socket::subscribed(gateway, live, &scratch).await?.0, scratch })
    }

    async fn first_reading(mut self) -> anyhow::Result<()> {
        let (scanner, mut ids) = (IdScanner::new(), Vec::new());
        let receive = async {
            while ids.is_empty() {
                let on_frame = |frame: Frame<'_>| {
                    if let Frame::Text(text) = frame {
                        scanner.scan(text, &mut ids);
                    }
                };
                ensure!(self.socket.read(&self.scratch, on_frame).await? == Read::More, "it closed");
            }
            Ok(())
        };
        let received = timeout(RECEIVED_WITHIN, receive).await;
        received.context("no reading came")?.context("waiting for the first reading at the first gateway")
    }
}

/// Everything that was written, in its order.
fn all_writes(before: &Sent, after: &Sent) -> Vec<Write> {
    before.writes.iter().chain(&after.writes).copied().collect()
}

async fn resume_all(
    resumer: &Resumer<'_>,
    received: Vec<Received>,
    limit: Duration,
) -> Vec<(Received, Times)> {
    let resuming: FuturesUnordered<_> =
        received.into_iter().map(|received| resumer.resume(received, limit)).collect();
    resuming.collect().await
}

impl Had {
    fn of(received: &[Received]) -> Option<Self> {
        let counts = received.iter().map(|client| client.ids.len());
        Some(Self { least: counts.clone().min()?, most: counts.max()? })
    }
}

impl Resume {
    /// Whether every client got everything once and in order.
    pub(super) fn is_clean(&self) -> bool {
        self.ledger.is_clean() && self.incomplete == 0 && self.readings > 0
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let Summary { p50, p99, max, .. } = self.ms;
        let mut lines = vec![
            format!(
                "{} clients resumed elsewhere, live and complete after: p50 {p50:.0} ms, p99 {p99:.0} ms, max {max:.0} ms",
                self.clients
            ),
            format!(
                "they had {} to {} of {} readings when their gateway was killed; {} were never complete",
                self.had.least, self.had.most, self.readings, self.incomplete
            ),
        ];
        lines.extend(self.postgres_reads.map(|reads| format!("reads of Postgres meanwhile: {reads}")));
        lines.push(format!("ledger  {}", self.ledger.text()));
        lines.push(format!("posts   {} not stored", self.not_stored));
        lines.join("\n")
    }
}
