//! `rowcast bench handshakes`: how many sockets a second the gateway opens.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use futures_util::future::join_all;
use serde::Serialize;
use tokio::time;
use wire::Start;

use super::{
    clock::Clock,
    histogram::{Histogram, Summary},
    processes,
    round::round,
    socket::{Address, SCRATCH_BYTES, Socket},
};
use crate::{args::BenchHandshakes, live::Live};

/// A socket that is not open by then has failed.
const OPEN_LIMIT: Duration = Duration::from_secs(10);

/// After a failure: a gateway that refuses at once would make a busy loop.
const PAUSE: Duration = Duration::from_millis(20);

/// The report.
#[derive(Debug, Default, Serialize)]
pub(super) struct Handshakes {
    schema: u32,
    at_once: u32,
    /// Opened, subscribed and closed again.
    pub(super) opened: u64,
    pub(super) failed: u64,
    pub(super) handshakes_per_s: f64,
    /// From the TCP connection's beginning to `ok`.
    pub(super) ms: Summary,
    /// The gateway's CPU for one, its close included; absent where its process is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway_cpu_us: Option<f64>,
    /// Why the first failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first_fault: Option<String>,
}

/// Opens and closes until the time is over, or the number is reached.
pub(super) async fn measure(options: &BenchHandshakes) -> anyhow::Result<Handshakes> {
    let pid = options.pid.or_else(|| processes::only("ws-gateway").ok());
    let cpu = || pid.and_then(processes::usage).map(|usage| usage.cpu_seconds);
    let opener = Opener {
        gateway: Address::of(&options.gateway)?,
        clock: Clock::start(),
        until: options.duration.as_micros() as u64,
        most: options.clients.unwrap_or(u64::MAX),
        begun: Cell::new(0),
        scratch: RefCell::new(vec![0; SCRATCH_BYTES]),
        times: RefCell::default(),
        faults: RefCell::default(),
    };
    let before = cpu();
    join_all((0..options.at_once).map(|_| opener.run())).await;
    let seconds = opener.clock.micros() as f64 / 1e6;
    let cpu_seconds = before.zip(cpu()).map(|(before, after)| after - before);
    let (ms, faults) = (opener.times.take().summary(), opener.faults.take());
    Ok(Handshakes {
        schema: 1,
        at_once: options.at_once,
        opened: ms.count,
        failed: faults.len() as u64,
        handshakes_per_s: round(ms.count as f64 / seconds),
        ms,
        gateway_cpu_us: cpu_seconds.filter(|_| ms.count > 0).map(|cpu| round(cpu * 1e6 / ms.count as f64)),
        first_fault: faults.into_iter().next(),
    })
}

struct Opener {
    gateway: Address,
    clock: Clock,
    /// When it begins no more.
    until: u64,
    most: u64,
    begun: Cell<u64>,
    scratch: RefCell<Vec<u8>>,
    times: RefCell<Histogram>,
    faults: RefCell<Vec<String>>,
}

impl Opener {
    /// Opens and closes one after the other.
    async fn run(&self) {
        while self.clock.micros() < self.until && self.begun.get() < self.most {
            let nth = self.begun.replace(self.begun.get() + 1);
            let open = time::timeout(OPEN_LIMIT, self.open_and_close(nth)).await;
            if let Err(error) = open.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer"))) {
                self.faults.borrow_mut().push(format!("{error:#}"));
                time::sleep(PAUSE).await;
            }
        }
    }

    async fn open_and_close(&self, nth: u64) -> anyhow::Result<()> {
        let began = self.clock.micros();
        let live = Live::new(vec![format!("handshake-{nth}")], Start::Now);
        let (socket, _) = Socket::subscribed(&self.gateway, live, &self.scratch).await?;
        let took = self.clock.micros() - began;
        socket.close(&self.scratch).await?;
        self.times.borrow_mut().record(took);
        Ok(())
    }
}

impl Handshakes {
    /// For people.
    pub(super) fn text(&self) -> String {
        let Summary { p50, p99, max, .. } = self.ms;
        let mut lines = vec![format!(
            "{:.0} handshakes/s, {} at once: p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.2} ms ({} opened, {} failed)",
            self.handshakes_per_s, self.at_once, self.opened, self.failed
        )];
        lines.extend(self.gateway_cpu_us.map(|us| format!("the gateway's CPU for one: {us:.0} us")));
        lines.extend(self.first_fault.iter().map(|why| format!("first failure: {why}")));
        lines.join("\n")
    }
}
