//! Random clients compared with the committed log: each uses a random filter, start and reading speed, is disconnected
//! and reconnects, and gets tokens of other grants while it reads, while gateways, leaders and Redis are killed and retention is
//! kept short. What each received must be exactly what its filter selects of what it was granted there, in order, once, with a gap
//! exactly where retention was exceeded.

mod grants;
mod random_client;
mod truth;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use jsonwebtoken::Algorithm;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

use self::{
    random_client::{Positions, RandomClient, Sources},
    truth::Truth,
};
use crate::{
    fault::Fault,
    stack::{DATABASE, Plan, Stack},
    tokens::{Issuer, write_issuers},
    writer::Writers,
};

/// Clients at a time.
const CLIENTS: u64 = 8;

/// Devices that POST meanwhile.
const DEVICES: usize = 4;

/// Ticks older than this are dropped, so that positions expire within a run.
const RETENTION: &str = "6 seconds";

/// The pause between two faults.
const PAUSE: Duration = Duration::from_millis(1_500);

/// The injected faults: those that leave the rest of the installation running.
const FAULTS: [Fault; 7] = [
    Fault::GatewayKilled,
    Fault::GatewayKilled,
    Fault::ListenerKilled,
    Fault::ListenerStopped,
    Fault::RedisKilled,
    Fault::RedisFlushed,
    Fault::TailRolledBack,
];

/// The results of a run.
#[derive(Debug, Default)]
pub struct Summary {
    /// Readings that were committed.
    pub readings: usize,
    /// Subscriptions that were compared with the committed log.
    pub subscriptions: usize,
    /// Events they received.
    pub events: usize,
    /// Gaps they were notified of.
    pub gaps: usize,
    /// What their tokens granted, one after the other.
    pub grants: usize,
    /// Injected faults.
    pub faults: usize,
}

/// An installation whose clients have tokens, or none.
pub struct Oracle {
    /// The installation.
    pub stack: Stack,
    issuer: Arc<Issuer>,
    /// The issuer's files.
    _folder: tempfile::TempDir,
}

impl Oracle {
    /// Starts the installation.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(plan: Plan) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let issuer = Issuer::new("https://oracle.test", "one", Algorithm::ES256)?;
        let issuers = write_issuers(folder.path(), &[&[&issuer]])?;
        let env = [
            ("ws-gateway:ROWCAST_AUTH__ENABLED", "true"),
            ("ws-gateway:ROWCAST_AUTH__ANONYMOUS_READ", "*"),
            ("ws-gateway:ROWCAST_AUTH__ISSUERS_FILE", issuers.to_str().context("a path that is text")?),
        ];
        let stack = Stack::start_with(plan, &env).await?;
        Ok(Self { stack, issuer: Arc::new(issuer), _folder: folder })
    }

    /// Runs for so long; the same seed gives the same clients and faults.
    ///
    /// # Errors
    /// When a client did not get what it should have.
    pub async fn run(self, seed: u64, time: Duration) -> Result<Summary> {
        run(self.stack, &self.issuer, seed, time).await
    }
}

async fn run(mut stack: Stack, issuer: &Arc<Issuer>, seed: u64, time: Duration) -> Result<Summary> {
    let truth = Truth::begin(&stack)?;
    let gateways: Arc<[SocketAddr]> = stack.gateways.iter().map(|gateway| gateway.public()).collect();
    let positions = Positions::default();
    let (stop, stopped) = watch::channel(false);
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let rng = StdRng::seed_from_u64(seed.wrapping_mul(1_000) + number);
        let sources = Sources {
            gateways: gateways.clone(),
            positions: positions.clone(),
            horizon: truth.horizon(),
            issuer: issuer.clone(),
        };
        let client = RandomClient::new(number, rng, sources);
        clients.spawn(client.run(stopped.clone()));
    }
    let writers = Writers::start(DEVICES, stack.ingest.public(), &stack.postgres.url(DATABASE));
    let faults = inject(&mut stack, &truth, StdRng::seed_from_u64(seed), Instant::now() + time).await?;
    writers.finish().await;
    stop.send_replace(true);
    let mut summary = Summary { faults, ..Summary::default() };
    let recorded = clients.join_all().await;
    let log = truth.end(&stack).await?;
    summary.readings = log.len();
    for (client, subscriptions) in recorded.into_iter().enumerate() {
        for own in subscriptions {
            own.check(&log).with_context(|| format!("client {client}: {}", own.request))?;
            summary.subscriptions += 1;
            summary.events += own.events.len();
            summary.gaps += own.gaps.len();
            summary.grants += own.grants.count();
        }
    }
    ensure!(summary.subscriptions > 0, "no subscription was checked");
    Ok(summary)
}

/// Faults and retention until the time is over.
async fn inject(stack: &mut Stack, truth: &Truth, mut rng: StdRng, until: Instant) -> Result<usize> {
    let mut faults = 0;
    while Instant::now() < until {
        truth.note(stack)?;
        if rng.random_bool(0.5) {
            truth.forget(stack, RETENTION)?;
        }
        if rng.random_bool(0.4) {
            let fault = *FAULTS.choose(&mut rng).context("there are faults")?;
            fault.inject(stack).await?;
            faults += 1;
        }
        sleep(PAUSE).await;
    }
    stack.await_ready().await;
    Ok(faults)
}
