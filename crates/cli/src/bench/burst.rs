//! `rowcast bench burst`: how fast the gateway delivers a backlog from Redis to its sockets.

use std::{sync::Arc, time::Duration};

use anyhow::bail;
use nix::sys::signal::Signal;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::{
    admin::Admin,
    audience::{Audience, Received},
    clock::Clock,
    faults::Faults,
    follows::Follows,
    ledger::Ledger,
    limit::fanout,
    limits::Fanout,
    load::{Plan, Sent},
    processes,
    round::round,
    socket::Address,
};
use crate::args::{BenchBurst, Load};

/// How long the listener gets to forward everything without an admin address.
const SETTLE: Duration = Duration::from_secs(2);

/// How long it gets with one.
const FORWARDED_WITHIN: Duration = Duration::from_secs(60);

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// From the gateway's resumption until every client has everything.
const LIMIT: Duration = Duration::from_secs(120);

/// The report.
#[derive(Debug, Default, Serialize)]
pub(super) struct Burst {
    schema: u32,
    clients: u32,
    /// Answered with 201 while the gateway was stopped.
    pub(super) readings: u64,
    /// POSTs that were not answered with 201.
    not_stored: u64,
    pub(super) deliveries: u64,
    /// From the first arrival at any client to the last.
    pub(super) deliveries_per_s: f64,
    /// From the gateway's resumption to the first arrival.
    first_ms: f64,
    /// From the gateway's resumption to the last arrival.
    last_ms: f64,
    /// How long the gateway was stopped.
    stopped_ms: f64,
    #[serde(flatten)]
    pub(super) ledger: Faults,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<Fanout>,
    /// Of the bare fan-out's deliveries.
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<f64>,
}

/// Stops the gateway, writes, and resumes it.
pub(super) async fn measure(options: &BenchBurst) -> anyhow::Result<Burst> {
    let pid = options.pid.map_or_else(|| processes::only("ws-gateway"), Ok)?;
    let gateway = Address::of(&options.gateway)?;
    let clock = Clock::start();
    let mut audience =
        Audience::open(gateway, options.clients as usize, clock, |_| Follows::Everything).await?;
    let stopped = Stopped::stop(pid)?;
    let stopped_at = clock.micros();
    let sent = tokio::select! {
        sent = fill(options, clock) => sent?,
        // the gateway must not stay stopped
        interrupted = tokio::signal::ctrl_c() => { interrupted?; bail!("interrupted") }
    };
    let ledger = Arc::new(Ledger::new(&sent.writes));
    let resumed_at = clock.micros();
    drop(stopped);
    audience.settle(ledger.clone(), LIMIT).await;
    let received = audience.close().await?;
    let mut burst = Burst {
        schema: 1,
        clients: options.clients,
        readings: ledger.len() as u64,
        not_stored: sent.not_stored(),
        stopped_ms: (resumed_at - stopped_at) as f64 / 1_000.0,
        ledger: Faults::of(&ledger, &received),
        ..Burst::default()
    };
    burst.count(&received, resumed_at);
    if options.with_limit {
        burst.compare(fanout::measure(options.clients, &limit_load(options)).await?);
    }
    Ok(burst)
}

/// Writes, and waits until all of it is in Redis.
async fn fill(options: &BenchBurst, clock: Clock) -> anyhow::Result<Sent> {
    let listener = options.listener_admin.as_deref().map(Admin::parse).transpose()?;
    let ingest = Address::parse(&options.ingest.url)?;
    let before = match &listener {
        Some(listener) => listener.metric(READINGS).await?,
        None => 0.0,
    };
    let sent = Plan::of_readings(ingest, options.readings, &options.posts, clock).run().await;
    match &listener {
        Some(listener) => await_forwarded(listener, before + sent.writes.len() as f64).await?,
        None => sleep(SETTLE).await,
    }
    Ok(sent)
}

const READINGS: &str = "rowcast_listener_readings_total";

async fn await_forwarded(listener: &Admin, readings: f64) -> anyhow::Result<()> {
    let until = Instant::now() + FORWARDED_WITHIN;
    loop {
        let (appended, backlog) =
            (listener.metric(READINGS).await?, listener.metric("rowcast_listener_backlog_ticks").await?);
        if appended >= readings && backlog == 0.0 {
            return Ok(());
        }
        if Instant::now() > until {
            bail!("the listener has appended {appended} of {readings} readings after {FORWARDED_WITHIN:?}");
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// The same clients for the bare fan-out.
fn limit_load(options: &BenchBurst) -> Load {
    Load {
        connections: options.posts.connections,
        readings: options.posts.together,
        sensors: options.posts.sensors,
        duration: Duration::from_secs(5),
        warmup: Duration::from_secs(1),
    }
}

/// A process that is stopped until this is dropped.
struct Stopped {
    pid: u32,
}

impl Stopped {
    fn stop(pid: u32) -> anyhow::Result<Self> {
        processes::signal(pid, Signal::SIGSTOP)?;
        Ok(Self { pid })
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // a process that is gone needs no more
        let _ = processes::signal(self.pid, Signal::SIGCONT);
    }
}

impl Burst {
    fn count(&mut self, received: &[Received], resumed_at: u64) {
        let moments = received.iter().flat_map(|client| &client.moments).map(|(_, at)| *at);
        let (Some(first), Some(last)) = (moments.clone().min(), moments.max()) else { return };
        self.deliveries = received.iter().map(|client| client.ids.len() as u64).sum();
        let since = |at: u64| at.saturating_sub(resumed_at) as f64 / 1_000.0;
        (self.first_ms, self.last_ms) = (since(first), since(last));
        // all in one read would be no time at all
        self.deliveries_per_s = round(self.deliveries as f64 * 1e6 / (last - first).max(1) as f64);
    }

    fn compare(&mut self, limit: Fanout) {
        self.share = Some(round(self.deliveries_per_s / limit.deliveries_per_s));
        self.limit = Some(limit);
    }

    /// Whether every client got everything once and in order.
    pub(super) fn is_clean(&self) -> bool {
        self.ledger.is_clean() && self.readings > 0
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut lines = vec![
            format!(
                "burst of {} readings to {} clients: {:.0} deliveries/s",
                self.readings, self.clients, self.deliveries_per_s
            ),
            format!(
                "first arrival {:.0} ms after the gateway was resumed, last {:.0} ms; it was stopped for {:.0} ms",
                self.first_ms, self.last_ms, self.stopped_ms
            ),
            format!("ledger  {}", self.ledger.text()),
            format!("posts   {} not stored", self.not_stored),
        ];
        if let (Some(limit), Some(share)) = (&self.limit, self.share) {
            let bare = limit.deliveries_per_s;
            lines.push(format!("share   {share:.2} of the bare fan-out's {bare:.0} deliveries/s"));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_from_the_first_arrival_anywhere_to_the_last() {
        let client = |moments: &[(usize, u64)]| Received {
            ids: (0..moments.last().unwrap().0 as i64).collect(),
            moments: moments.to_vec(),
            ..Received::default()
        };
        let received = [client(&[(10, 1_500_000), (20, 2_000_000)]), client(&[(20, 2_500_000)])];
        let mut burst = Burst::default();
        burst.count(&received, 1_000_000);
        assert_eq!((burst.deliveries, burst.deliveries_per_s), (40, 40.0));
        assert_eq!((burst.first_ms, burst.last_ms), (500.0, 1_500.0));
    }
}
