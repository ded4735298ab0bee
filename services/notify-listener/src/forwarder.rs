//! Does what the planner decided, and tells it what came of it.

mod copies;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bus::{Append, Appender, EntryId};
use chassis::{Condition, Fault, Life, Outage};
use futures_util::FutureExt;
use store::{
    Advance, Budget, Leader, ReadError,
    log::{PAGE_BYTES, TickReadings},
};
use time::OffsetDateTime;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};
use wire::{Epoch, Position, Tick};

use crate::{
    chunk,
    leadership::Leadership,
    metrics::Metrics,
    planner::{Event, Planner, Step, rest_after},
    standby::Warm,
};

/// The most readings that one query brings.
const PAGE: i64 = 5_000;

/// The fewest bytes that a page is cut to when the stream's server was too slow for a larger one.
const PAGE_BYTES_MIN: usize = 64 << 10;

/// A stream that was lost begins again about so many readings, or bytes, back.
const WINDOW: Budget = Budget { rows: 20_000, bytes: 64 << 20 };

/// The longest wait before the next try to connect.
const RETRY_MAX: Duration = Duration::from_secs(1);

/// How long one statement may take before its connection counts as lost: a huge tick is counted in one. The server
/// has given it up by then, by its own clock: what this side has given up is not done after all.
const DATABASE_WITHIN: Duration = Duration::from_secs(30);

/// When the server gives a statement up.
pub(crate) const STATEMENT_LIMIT: Duration = Duration::from_secs(27);

/// The same for one command of Redis.
const STREAM_WITHIN: Duration = Duration::from_secs(2);

/// Gateways hear of the leader at least so often, as long as it has nothing to append; a little less than its poll,
/// so that each poll tells them.
const BEAT_EVERY: Duration = Duration::from_millis(900);

/// How long the step that was under way when leadership ended may take to be answered: as long as a network that was
/// cut and healed needs to carry it.
const LAST_ANSWER: Duration = Duration::from_secs(90);

/// How long a process that stops waits for the step that was under way.
const LAST_STEP: Duration = Duration::from_millis(500);

/// Why a step could not be done.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Bus(#[from] bus::Error),
    #[error(
        "another installation writes {key}: this database is a physical copy and needs its own Redis or redis.prefix"
    )]
    Copy { key: String },
    #[error("no answer within {0:?}")]
    Silent(Duration),
    #[error("another leader was met while the Lease cannot be read")]
    Rival,
}

/// The IO around the planner.
pub(crate) struct Forwarder {
    database: store::Options,
    stream: bus::Options,
    bell: Arc<Notify>,
    metrics: Metrics,
    /// Fails while it leads and cannot forward.
    condition: Condition,
    /// What its ticks are signed with.
    process: String,
    /// What it is known by, the same when it is started again: its host and its admin port.
    known_as: String,
    /// The bytes of a page: fewer after an append that was not answered in time.
    page_bytes: AtomicUsize,
}

impl Forwarder {
    pub(crate) fn new(
        database: store::Options,
        stream: bus::Options,
        bell: Arc<Notify>,
        metrics: Metrics,
        condition: Condition,
        admin_port: u16,
    ) -> Self {
        let process = format!("{}-{}", hostname(), std::process::id());
        let known_as = format!("{}:{admin_port}", hostname());
        let page_bytes = AtomicUsize::new(PAGE_BYTES);
        Self { database, stream, bell, metrics, condition, process, known_as, page_bytes }
    }

    /// Forwards while leadership is held, through every loss of a connection. No step begins after its end. One that
    /// was under way is left to be answered in the background, so that it is known whether it came too late.
    pub(crate) async fn forward(
        forwarder: &Arc<Self>,
        leadership: Leadership,
        warm: Option<Warm>,
        life: &Life,
    ) {
        let leadership = Arc::new(leadership);
        let mut term = Box::pin(forwarder.clone().term(leadership.clone(), warm));
        tokio::select! {
            biased;
            () = leadership.lost() => {}
            () = &mut term => return,
        }
        drop(leadership);
        if life.is_stopping() {
            let _ = timeout(LAST_STEP, term).await;
            return;
        }
        let soft = life.soft().clone();
        life.spawn_work(async move {
            soft.run_until_cancelled(timeout(LAST_ANSWER, term)).await;
        });
    }

    async fn term(self: Arc<Self>, leadership: Arc<Leadership>, mut warm: Option<Warm>) {
        let mut wait = Duration::from_millis(50);
        let mut outage = Outage::new("forwarding");
        while leadership.holds() {
            let began = Instant::now();
            if let Err(lost) = self.until_lost(&leadership, warm.take(), &mut outage).await {
                self.metrics.losses.inc();
                self.condition.fail(Fault::Shared(outage.fails(&lost)));
                if matches!(lost, Lost::Rival) {
                    return;
                }
            }
            wait = if began.elapsed() > RETRY_MAX {
                Duration::from_millis(50)
            } else {
                (wait * 2).min(RETRY_MAX)
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = leadership.lost() => return,
            }
        }
    }

    async fn until_lost(
        &self,
        leadership: &Leadership,
        warm: Option<Warm>,
        outage: &mut Outage,
    ) -> Result<(), Lost> {
        let signature = leadership.signature(&self.process);
        let Warm { leader, appender } = match warm {
            Some(warm) => warm,
            None => Warm::connect::<Lost>(&self.database, &self.stream, &signature).await?,
        };
        let mut hands = Hands {
            leader: leader.named(&signature),
            appender,
            leadership,
            bell: &self.bell,
            metrics: &self.metrics,
            known_as: &self.known_as,
            page_bytes: &self.page_bytes,
            epoch: None,
            oldest: None,
            heard_of: None,
            tick_began: Instant::now(),
        };
        tracing::info!(signature, "forwarding");
        let mut planner = Planner::default();
        let mut event = Event::Connected;
        while leadership.holds() {
            let step = planner.next(event);
            self.metrics.backlog_ticks.set(planner.backlog());
            tracing::trace!(?step, "step");
            // only what follows the loading of the log's end shows that the stream takes what it is given
            let is_work = matches!(step, Step::Append { .. } | Step::Wait(_));
            event = hands.perform(step).await?;
            if is_work {
                // it may have failed as a standby, or by the last step of an earlier leadership
                self.condition.hold();
                outage.ends();
            }
        }
        if let Some(epoch) = hands.epoch {
            // the next one need not wait to see that this one has ended
            let _ = timeout(LAST_STEP, hands.appender.unsign(epoch, &self.known_as)).await;
        }
        Ok(())
    }
}

/// What this host, in a cluster this pod, is called.
pub(crate) fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "listener".to_owned(), |n| n.trim().to_owned())
}

/// The connections of one run.
struct Hands<'a> {
    leader: Leader,
    appender: Appender,
    leadership: &'a Leadership,
    bell: &'a Notify,
    metrics: &'a Metrics,
    /// As the forwarder is.
    known_as: &'a str,
    page_bytes: &'a AtomicUsize,
    /// The epoch that was loaded.
    epoch: Option<Epoch>,
    /// When the oldest reading was inserted of those about to be appended.
    oldest: Option<OffsetDateTime>,
    /// When gateways last heard of this leader.
    heard_of: Option<Instant>,
    /// When the last tick was begun.
    tick_began: Instant,
}

impl Hands<'_> {
    async fn perform(&mut self, step: Step) -> Result<Event, Lost> {
        let leadership = self.leadership;
        match step {
            Step::Load => within(leadership, DATABASE_WITHIN, self.load(false)).await,
            Step::BeginEpoch => within(leadership, DATABASE_WITHIN, self.load(true)).await,
            Step::Read { after, upto } => within(leadership, DATABASE_WITHIN, self.read(after, upto)).await,
            Step::Advance { epoch, prev } => {
                self.tick_began = Instant::now();
                within(leadership, DATABASE_WITHIN, self.advance(epoch, prev)).await
            }
            Step::Append { epoch, expected, entries } => {
                let append = async { Ok(self.appender.append(epoch, expected, &entries).await?) };
                let append = within(leadership, STREAM_WITHIN, append).await;
                self.learn(matches!(append, Err(Lost::Silent(_))));
                self.appended(append?)
            }
            Step::Verify { epoch } => Ok(Event::End(self.end(epoch).await?)),
            Step::OpenGate => {
                within(leadership, DATABASE_WITHIN, async { Ok(self.leader.wake().await?) }).await?;
                Ok(Event::Gated)
            }
            Step::CloseGate => {
                within(leadership, DATABASE_WITHIN, async { Ok(self.leader.sleep().await?) }).await?;
                Ok(Event::Gated)
            }
            Step::Wait(at_most) => {
                self.beat().await?;
                Ok(self.wait(at_most).await)
            }
            Step::Rest => Ok(self.wait(rest_after(self.tick_began.elapsed())).await),
        }
    }

    fn budget(&self) -> Budget {
        Budget { rows: PAGE, bytes: self.page_bytes.load(Ordering::Relaxed) }
    }

    /// A page that was too large for its deadline is cut smaller the next time, and grows again with each that was not.
    fn learn(&self, too_slow: bool) {
        let bytes = self.budget().bytes;
        let bytes = if too_slow { bytes / 2 } else { bytes.saturating_mul(2) };
        self.page_bytes.store(bytes.clamp(PAGE_BYTES_MIN, PAGE_BYTES), Ordering::Relaxed);
    }

    async fn end(&mut self, epoch: Epoch) -> Result<Option<EntryId>, Lost> {
        within(self.leadership, STREAM_WITHIN, async { Ok(self.appender.end(epoch).await?) }).await
    }

    async fn load(&mut self, rolled_back: bool) -> Result<Event, Lost> {
        if self.leader.begin_epoch(rolled_back).await? {
            tracing::warn!(rolled_back, "the database's history changed: a new epoch begins");
        }
        // the stream first: a tick is committed before it is appended, so the ticks read later are never behind
        let before = self.leader.load(WINDOW).await?.head.epoch;
        let end = self.end(before).await?;
        let loaded = self.leader.load(WINDOW).await?;
        if loaded.head.epoch != before {
            return Ok(Event::Fenced);
        }
        if self.epoch != Some(before) {
            match end {
                None => self.check_is_alone(before).await?,
                Some(_) => self.check_last_leader(before).await?,
            }
            self.leader.announce(self.known_as).await?;
        }
        self.appender.sign(before, self.known_as).await?;
        self.epoch = Some(before);
        Ok(Event::Loaded {
            epoch: loaded.head.epoch,
            head: loaded.head.last_tick,
            window_start: loaded.window_start,
            end,
        })
    }

    async fn read(&mut self, after: Position, upto: Tick) -> Result<Event, Lost> {
        match self.leader.read(after, upto, self.budget()).await {
            Ok(page) => {
                self.note(&page.ticks);
                Ok(Event::Page { entries: chunk::entries(&page.ticks), covered: page.covered })
            }
            Err(ReadError::Forgotten(_)) => Ok(Event::Forgotten),
            Err(ReadError::Database(error)) => Err(error.into()),
        }
    }

    async fn advance(&mut self, epoch: Epoch, prev: Tick) -> Result<Event, Lost> {
        match self.leader.advance(epoch, prev, self.budget()).await? {
            Advance::Nothing { open_transactions } => Ok(Event::Nothing { open: open_transactions > 0 }),
            Advance::Conflict => self.fenced(),
            Advance::Made { rows, first } => {
                self.metrics.ticks.inc();
                self.metrics.last_tick.set(first.at.unix_timestamp());
                self.metrics.backlog_readings.set(rows);
                let tick = first.tick;
                let whole = rows <= i64::try_from(first.readings.len()).unwrap_or(i64::MAX);
                let covered = match first.readings.last() {
                    Some(last) if !whole => Position::new(epoch, tick, last.id),
                    _ => Position::after_tick(epoch, tick),
                };
                let ticks = [first];
                self.note(&ticks);
                let entries = chunk::entries(&ticks);
                Ok(Event::Made { tick, entries, covered })
            }
        }
    }

    fn note(&mut self, ticks: &[TickReadings]) {
        let readings = ticks.iter().flat_map(|tick| &tick.readings);
        self.oldest = readings.map(|reading| reading.created_at).min();
        let count: usize = ticks.iter().map(|tick| tick.readings.len()).sum();
        self.metrics.readings.inc_by(count as u64);
    }

    fn appended(&mut self, append: Append) -> Result<Event, Lost> {
        match append {
            Append::Appended => {
                self.heard_of = Some(Instant::now());
                if let Some(oldest) = self.oldest.take() {
                    self.metrics.lag.observe((OffsetDateTime::now_utc() - oldest).as_seconds_f64().max(0.0));
                }
                Ok(Event::Appended)
            }
            Append::Mismatch(end) => {
                tracing::info!(?end, "the stream ends elsewhere");
                self.fenced()
            }
            Append::Superseded(later) => Err(self.appender.foreign(later).into()),
        }
    }

    /// Another leader was first, or the stream was lost. Who leads without the Lease gives way.
    fn fenced(&self) -> Result<Event, Lost> {
        self.metrics.fenced.inc();
        if self.leadership.is_interim() { Err(Lost::Rival) } else { Ok(Event::Fenced) }
    }

    /// Before a wait, everything that was seen is in the stream. Whoever has heard of this leader a moment ago,
    /// through an append, need not be told.
    async fn beat(&mut self) -> Result<(), Lost> {
        let Some(epoch) = self.epoch else { return Ok(()) };
        if self.heard_of.is_none_or(|at| at.elapsed() >= BEAT_EVERY) {
            let beat = async { Ok(self.appender.beat(epoch).await?) };
            if let Some(later) = within(self.leadership, STREAM_WITHIN, beat).await? {
                return Err(self.appender.foreign(later).into());
            }
            self.heard_of = Some(Instant::now());
        }
        Ok(())
    }

    async fn wait(&self, at_most: Duration) -> Event {
        let mut rung = std::pin::pin!(self.bell.notified());
        if rung.as_mut().now_or_never().is_some() {
            return Event::Rang { at_once: true };
        }
        tokio::select! {
            biased;
            // after a long stop both are due, and the bell says more
            () = rung => Event::Rang { at_once: false },
            () = sleep(at_most) => Event::Quiet,
            // nothing follows it
            () = self.leadership.lost() => Event::Quiet,
        }
    }
}

/// A leader has no time for servers that are silent; what is left of a leadership that has ended has.
async fn within<T>(
    leadership: &Leadership,
    limit: Duration,
    work: impl Future<Output = Result<T, Lost>>,
) -> Result<T, Lost> {
    let mut work = std::pin::pin!(work);
    match timeout(limit, &mut work).await {
        Ok(done) => done,
        Err(_) if leadership.holds() => Err(Lost::Silent(limit)),
        Err(_) => work.await,
    }
}

#[cfg(test)]
mod tests;
