//! Performs the planner's steps: calls Postgres and Redis, and reports what came of each.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, SystemTime},
};

use bus::{Append, Appender, End, EntryId, NewEntry};
use chassis::{
    Clock,
    spans::{Tracer, WorkSpan},
};
use futures_util::FutureExt;
use parking_lot::Mutex;
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

use super::{lost::Lost, trace};
use crate::{
    chunk::{Before, committed_at, entries, micros},
    counts::Counts,
    leadership::Leadership,
    metrics::{Metrics, Stage},
    planner::{Event, Step, rest_after},
};

/// The most readings of one query.
const PAGE: i64 = 5_000;

/// The fewest bytes that a page is cut to when the stream's server was too slow for a larger one.
const PAGE_BYTES_MIN: usize = 64 << 10;

/// A stream that was lost begins again about so many readings, or bytes, back.
const WINDOW: Budget = Budget { rows: 20_000, bytes: 64 << 20 };

/// How long one statement may take before its connection counts as lost: a huge tick is counted in one. The server
/// has cancelled it by then, by its own clock, so a statement that this side gave up is not executed later.
const DATABASE_WITHIN: Duration = Duration::from_secs(30);

/// How long one command of Redis may take.
const STREAM_WITHIN: Duration = Duration::from_secs(2);

/// How often the beat is moved while there is nothing to append; a little less than the poll, so that each poll moves it.
pub(super) const BEAT_EVERY: Duration = Duration::from_millis(900);

/// Performs steps over the connections of one run.
pub(super) struct Runner<'a> {
    pub(super) leader: Leader,
    pub(super) appender: Appender,
    pub(super) leadership: &'a Leadership,
    pub(super) wake: &'a Notify,
    pub(super) metrics: &'a Metrics,
    /// The forwarder's name in the stream.
    pub(super) known_as: &'a str,
    pub(super) page_bytes: &'a AtomicUsize,
    /// The epoch that was loaded.
    pub(super) epoch: Option<Epoch>,
    /// The entries of the last page or tick.
    pub(super) entries: Vec<NewEntry>,
    /// How many readings they hold.
    pub(super) readings: usize,
    /// When the oldest reading was inserted of those about to be appended.
    pub(super) oldest: Option<OffsetDateTime>,
    /// When the last of their ticks was committed, in microseconds since 1970.
    pub(super) ticked_at: i64,
    /// How many readings the epoch has up to the last entry that is known, and where that ends.
    pub(super) counted: (Position, Option<i64>),
    /// When the table was last seen to have nothing new, in microseconds since 1970.
    pub(super) looked_at: i64,
    pub(super) counts: &'a Mutex<Counts>,
    pub(super) tracer: &'a Tracer,
    /// The span of the tick about to be appended.
    pub(super) tick_span: Option<WorkSpan>,
    pub(super) clock: &'a Clock,
    /// When gateways last saw that this leader is active.
    pub(super) announced_at: Option<Instant>,
    /// When the last tick was begun.
    pub(super) tick_began: Instant,
}

impl Runner<'_> {
    pub(super) async fn perform(&mut self, step: Step) -> Result<Event, Lost> {
        let leadership = self.leadership;
        match step {
            Step::Load => within(leadership, DATABASE_WITHIN, self.load(false)).await,
            Step::BeginEpoch => within(leadership, DATABASE_WITHIN, self.load(true)).await,
            Step::Read { after, upto } => within(leadership, DATABASE_WITHIN, self.read(after, upto)).await,
            Step::Advance { epoch, prev } => {
                self.tick_began = Instant::now();
                within(leadership, DATABASE_WITHIN, self.advance(epoch, prev)).await
            }
            Step::Append { epoch, expected, predecessor } => self.append(epoch, expected, predecessor).await,
            Step::Verify { epoch } => Ok(Event::End(self.end(epoch).await?.map(|end| end.id))),
            Step::DisableNotify => {
                within(leadership, DATABASE_WITHIN, async { Ok(self.leader.disable_notify().await?) })
                    .await?;
                Ok(Event::GateSet)
            }
            Step::EnableNotify => {
                within(leadership, DATABASE_WITHIN, async { Ok(self.leader.enable_notify().await?) }).await?;
                Ok(Event::GateSet)
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

    async fn end(&mut self, epoch: Epoch) -> Result<Option<End>, Lost> {
        within(self.leadership, STREAM_WITHIN, async { Ok(self.appender.end(epoch).await?) }).await
    }

    async fn load(&mut self, rolled_back: bool) -> Result<Event, Lost> {
        if self.leader.begin_epoch(rolled_back).await? {
            tracing::warn!(rolled_back, "the database's history changed: a new epoch begins");
        }
        // the stream first: a tick is committed before it is appended, so ticks that are read later are never behind it
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
            self.leader.register(self.known_as).await?;
        }
        self.appender.sign(before, self.known_as).await?;
        self.epoch = Some(before);
        let stream = end.map_or((loaded.window_start, loaded.window_total), |end| (end.id.tick, end.count));
        self.counts.lock().loaded(before, (loaded.head.last_tick, loaded.total), stream);
        self.counted = end.map(|end| (end.id.position(before), end.count)).unwrap_or_default();
        Ok(Event::Loaded {
            epoch: loaded.head.epoch,
            head: loaded.head.last_tick,
            window_start: loaded.window_start,
            end: end.map(|end| end.id),
        })
    }

    async fn read(&mut self, after: Position, upto: Tick) -> Result<Event, Lost> {
        match self.leader.read(after, upto, self.budget()).await {
            Ok(page) => {
                let (at, count) = self.counted;
                let count = count.filter(|_| at == after);
                let before = Before { position: after, count, looked_at: 0 };
                Ok(Event::Page { last: self.cut(&page.ticks, before), covered: page.covered })
            }
            Err(ReadError::Forgotten(_)) => Ok(Event::Forgotten),
            Err(ReadError::Database(error)) => Err(error.into()),
        }
    }

    async fn advance(&mut self, epoch: Epoch, prev: Tick) -> Result<Event, Lost> {
        let (looked_at, began, began_at) = (self.looked_at, self.clock.now_micros(), SystemTime::now());
        let step = self.leader.advance(epoch, prev, self.budget()).await?;
        self.looked_at = began;
        match step {
            Advance::Nothing { open_transactions } => Ok(Event::Nothing { open: open_transactions > 0 }),
            Advance::Conflict => self.fenced(),
            Advance::Made { first } => {
                self.metrics.last_tick.set(first.at.unix_timestamp());
                self.tick_span = trace::tick(self.tracer, &first, began_at);
                self.counts.lock().ticked((first.tick, first.total), first.rows);
                let tick = first.tick;
                let whole = first.rows <= i64::try_from(first.readings.len()).unwrap_or(i64::MAX);
                let covered = match first.readings.last() {
                    Some(last) if !whole => Position::new(epoch, tick, last.id),
                    _ => Position::after_tick(epoch, tick),
                };
                let position = Position::after_tick(epoch, prev);
                let before = Before { position, count: None, looked_at };
                Ok(Event::Made { tick, last: self.cut(&[first], before), covered })
            }
        }
    }

    /// Cuts readings into the entries of the next append; the last one's id.
    fn cut(&mut self, ticks: &[TickReadings], before: Before) -> Option<EntryId> {
        for tick in ticks {
            let age = micros(tick.at) - committed_at(tick, before);
            self.metrics.stage(Stage::CommitToTick, age, self.clock, tick.readings.len());
        }
        let readings = ticks.iter().flat_map(|tick| &tick.readings);
        self.readings = readings.clone().count();
        self.oldest = readings.map(|reading| reading.created_at).min();
        self.ticked_at = ticks.last().map_or(0, |tick| micros(tick.at));
        self.entries = entries(ticks, before);
        let last = self.entries.last()?;
        self.counted = (last.id.position(ticks.last()?.epoch), last.provenance.count);
        Some(last.id)
    }

    async fn append(
        &mut self,
        epoch: Epoch,
        expected: Option<EntryId>,
        predecessor: Position,
    ) -> Result<Event, Lost> {
        let mut entries = std::mem::take(&mut self.entries);
        if let Some(first) = entries.first_mut() {
            first.predecessor = predecessor;
        }
        let tick = self.tick_span.take();
        let stream = || self.appender.stream_of(epoch);
        let span = trace::append(self.tracer, tick.as_ref(), stream, &mut entries);
        let appended_at = self.clock.now_micros();
        entries.iter_mut().for_each(|entry| entry.provenance.appended_at = appended_at);
        let end = entries.last().map(|last| End { id: last.id, count: last.provenance.count });
        let append = async { Ok(self.appender.append(epoch, expected, &entries).await?) };
        let append = within(self.leadership, STREAM_WITHIN, append).await;
        if let (Some(span), false) = (&span, matches!(append, Ok(Append::Appended))) {
            span.fail("not_appended");
        }
        self.learn(matches!(append, Err(Lost::Silent(_))));
        self.appended(append?, end, appended_at)
    }

    fn appended(&mut self, append: Append, end: Option<End>, at: i64) -> Result<Event, Lost> {
        match append {
            Append::Appended => {
                self.announced_at = Some(Instant::now());
                let readings = std::mem::take(&mut self.readings);
                if let Some(end) = end {
                    self.counts.lock().appended(end, i64::try_from(readings).unwrap_or(i64::MAX));
                }
                self.metrics.stage(Stage::TickToStream, at - self.ticked_at, self.clock, readings);
                if let Some(oldest) = self.oldest.take() {
                    let lag = self.clock.now_micros() - micros(oldest);
                    self.metrics.lag.observe(lag.max(0) as f64 / 1e6);
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

    /// Another leader was first, or the stream was lost. A leader without the Lease gives way.
    fn fenced(&self) -> Result<Event, Lost> {
        self.metrics.fenced.inc();
        if self.leadership.is_interim() { Err(Lost::Rival) } else { Ok(Event::Fenced) }
    }

    /// Moves the beat before a wait, unless an append has shown a moment ago that this leader is active.
    async fn beat(&mut self) -> Result<(), Lost> {
        let Some(epoch) = self.epoch else { return Ok(()) };
        if self.announced_at.is_none_or(|at| at.elapsed() >= BEAT_EVERY) {
            let beat = async { Ok(self.appender.beat(epoch).await?) };
            if let Some(later) = within(self.leadership, STREAM_WITHIN, beat).await? {
                return Err(self.appender.foreign(later).into());
            }
            self.announced_at = Some(Instant::now());
        }
        Ok(())
    }

    async fn wait(&self, at_most: Duration) -> Event {
        let mut notified = std::pin::pin!(self.wake.notified());
        if notified.as_mut().now_or_never().is_some() {
            return Event::Notified { at_once: true };
        }
        tokio::select! {
            biased;
            // after a long stop both are due, and the notification carries more
            () = notified => Event::Notified { at_once: false },
            () = sleep(at_most) => Event::TimedOut,
            // no step follows it
            () = self.leadership.lost() => Event::TimedOut,
        }
    }
}

/// Enforces the timeout while leading; after leadership ends, lets the call in flight finish.
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
