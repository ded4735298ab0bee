//! Random clients against the truth: each subscribes to what it likes, from wherever it likes, reads as slowly as it
//! likes, is cut off and comes back, while gateways, leaders and Redis are killed and retention is kept short. What
//! each got must be exactly what its filter selects, in order, once, with a gap exactly where retention was exceeded.

mod life;
mod truth;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

use self::{
    life::{Life, Places},
    truth::Truth,
};
use crate::{
    fault::Fault,
    stack::{DATABASE, Stack},
    writer::Writers,
};

/// Clients at a time.
const CLIENTS: u64 = 8;

/// Devices that POST meanwhile.
const DEVICES: usize = 4;

/// Ticks older than this are dropped, so that positions run out within a run.
const RETENTION: &str = "6 seconds";

/// Between two faults.
const CALM: Duration = Duration::from_millis(1_500);

/// The faults that strike: what can be lost while everything else goes on.
const FAULTS: [Fault; 7] = [
    Fault::GatewayKilled,
    Fault::GatewayKilled,
    Fault::ListenerKilled,
    Fault::ListenerStopped,
    Fault::RedisKilled,
    Fault::RedisFlushed,
    Fault::TailRolledBack,
];

/// What a run saw.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Readings that were committed.
    pub readings: usize,
    /// Lives of subscriptions that were held against the truth.
    pub lives: usize,
    /// Events they got.
    pub events: usize,
    /// Gaps they were told of.
    pub gaps: usize,
    /// Faults that struck.
    pub faults: usize,
}

/// Runs for so long; the same seed gives the same clients and faults.
pub async fn run(mut stack: Stack, seed: u64, time: Duration) -> Result<Verdict> {
    let truth = Truth::begin(&stack)?;
    let gateways: Arc<[SocketAddr]> = stack.gateways.iter().map(|gateway| gateway.public()).collect();
    let places = Places::default();
    let (stop, stopped) = watch::channel(false);
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let rng = StdRng::seed_from_u64(seed.wrapping_mul(1_000) + number);
        let life = Life::new(rng, gateways.clone(), places.clone(), truth.horizon());
        clients.spawn(life.live(stopped.clone()));
    }
    let writers = Writers::start(DEVICES, stack.ingest.public(), &stack.postgres.url(DATABASE));
    let faults = strike(&mut stack, &truth, StdRng::seed_from_u64(seed), Instant::now() + time).await?;
    writers.finish().await;
    stop.send_replace(true);
    let mut verdict = Verdict { faults, ..Verdict::default() };
    let lives = clients.join_all().await;
    let log = truth.end(&stack).await?;
    verdict.readings = log.len();
    for (client, lives) in lives.into_iter().enumerate() {
        for life in lives {
            life.check(&log).with_context(|| format!("client {client}: {}", life.asked))?;
            verdict.lives += 1;
            verdict.events += life.events.len();
            verdict.gaps += life.gaps.len();
        }
    }
    ensure!(verdict.lives > 0, "nobody lived");
    Ok(verdict)
}

/// Faults and upkeep until the time is over.
async fn strike(stack: &mut Stack, truth: &Truth, mut rng: StdRng, until: Instant) -> Result<usize> {
    let mut faults = 0;
    while Instant::now() < until {
        truth.note(stack)?;
        if rng.random_bool(0.5) {
            truth.forget(stack, RETENTION)?;
        }
        if rng.random_bool(0.4) {
            let fault = *FAULTS.choose(&mut rng).context("there are faults")?;
            fault.strike(stack).await?;
            faults += 1;
        }
        sleep(CALM).await;
    }
    stack.await_ready().await;
    Ok(faults)
}
