//! Follows the stream, fills its gaps from Postgres, and publishes in the one order.

mod loss;
mod pulse;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bus::{Read, StreamEntry, Tail};
use chassis::{
    Clock, Condition, Fault, Life,
    spans::{SpanKind, Tracer, Work},
};
use store::{Database, ReadError};
use tokio::time::{Instant, sleep, timeout};
use wire::{Epoch, Position, Provenance, Tick};

use self::{
    loss::Loss,
    pulse::{Pulse, STALE_AFTER},
};
use super::{
    audit::{Audit, Verdict},
    batch::{Batch, Trace},
    hub::{FeedState, Hub},
    log::read_log,
};
use crate::metrics::{Metrics, Source};

/// How long one read waits for an entry before the leader's beat is read.
const BLOCK: Duration = Duration::from_secs(1);

/// The same until there was a sign of a leader.
const FIRST_BLOCK: Duration = Duration::from_millis(100);

/// Before the second try to follow again; twice as long before each further one.
const FIRST_RETRY: Duration = Duration::from_millis(200);

/// Between tries at most.
const LONGEST_RETRY: Duration = Duration::from_secs(2);

/// How long a read of the database's identity may take.
const READ_LIMIT: Duration = Duration::from_secs(1);

/// Why the feed stopped following.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("the database is another one than that whose stream was followed")]
    OtherDatabase,
    #[error(transparent)]
    Bus(#[from] bus::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("a stream entry cannot be read")]
    Entry(#[from] wire::entry::BadEntry),
}

/// A gateway's tail of the stream.
pub(crate) struct Feed {
    stream: bus::Options,
    database: Database,
    hub: Hub,
    /// Called when what the feed can promise has changed.
    on_change: Box<dyn Fn() + Send + Sync>,
    ready: Condition,
    metrics: Metrics,
    clock: Clock,
    tracer: Tracer,
}

impl Feed {
    pub(crate) fn new(
        stream: bus::Options,
        database: Database,
        (hub, on_change): (Hub, Box<dyn Fn() + Send + Sync>),
        ready: Condition,
        (metrics, clock, tracer): (Metrics, Clock, Tracer),
    ) -> Self {
        Self { stream, database, hub, on_change, ready, metrics, clock, tracer }
    }

    /// Follows until the process stops and no session is left.
    pub(crate) async fn follow(self, life: Life) {
        let sessions_gone = async {
            life.stopping().await;
            while self.metrics.sessions.get() > 0 {
                sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            () = self.follow_for_ever() => {}
            () = sessions_gone => {}
        }
    }

    async fn follow_for_ever(&self) {
        let (mut loss, mut audit, mut retry) = (Loss::new(), Audit::default(), FIRST_RETRY);
        loop {
            let Err(lost) = self.until_lost(&mut loss, &mut audit).await;
            if loss.begins(Instant::now()) {
                self.metrics.feed_losses.inc();
                retry = FIRST_RETRY;
            }
            let why = loss.outage.fails(&lost);
            if loss.is_ours_alone(&self.database).await {
                self.note(FeedState::Cut);
                self.ready.fail(Fault::Own(format!("cut off from the stream: {why}")));
            } else {
                self.note(FeedState::Down);
                self.ready.fail(Fault::Shared(why));
            }
            sleep(retry).await;
            retry = (2 * retry).min(LONGEST_RETRY);
        }
    }

    async fn until_lost(&self, loss: &mut Loss, audit: &mut Audit) -> Result<std::convert::Infallible, Lost> {
        let identity = self.identity(loss).await?;
        let mut tail = Tail::connect(&self.stream.of(&identity)).await?;
        let mut cursor = match self.hub.head() {
            Some(head) => head,
            None => self.begin(&mut tail, audit).await?,
        };
        let mut pulse = Pulse::new(tail.beat(cursor.epoch).await?);
        loop {
            let block = if pulse.has_leader() { BLOCK } else { FIRST_BLOCK };
            match tail.read(cursor, block).await? {
                Read::Quiet => {
                    pulse.observe(tail.beat(cursor.epoch).await?);
                    if pulse.feed_state() == FeedState::Stale && self.database_is_another(&identity).await {
                        return Err(Lost::OtherDatabase);
                    }
                }
                Read::Entries(entries) => {
                    pulse.note_entry();
                    for entry in entries {
                        cursor = self.take(cursor, entry, audit).await?;
                        self.metrics.set_head(cursor, audit.count());
                    }
                }
                Read::NewEpoch(epoch) => {
                    pulse.note_entry();
                    cursor = self.enter(&tail, epoch, audit).await?;
                }
            }
            // only now is it known that the stream can be read
            if loss.ends(Instant::now()) {
                tracing::info!(position = %cursor, "following the stream");
            }
            if !loss.over {
                continue;
            }
            // a gateway that starts waits for a sign of a leader, so that its first clients are not told of staleness
            if pulse.is_known() {
                self.ready.hold();
            }
            self.note(pulse.feed_state());
        }
    }

    /// Whose stream it is. While the database is unreachable, its stream may still hold readings that were not delivered.
    async fn identity(&self, loss: &mut Loss) -> store::Result<String> {
        match (self.database.identity().await, &loss.identity) {
            (Err(_), Some(known)) => Ok(known.clone()),
            (read, _) => Ok(loss.identity.insert(read?).clone()),
        }
    }

    /// Whether the database was replaced by another, a new or a restored one. One that does not answer is taken for the same.
    async fn database_is_another(&self, identity: &str) -> bool {
        matches!(timeout(READ_LIMIT, self.database.identity()).await, Ok(Ok(now)) if now != identity)
    }

    /// Notifies all sessions at once when what the feed can promise changes.
    fn note(&self, feeding: FeedState) {
        if self.hub.set_feed_state(feeding) {
            self.metrics.stale.set(i64::from(feeding != FeedState::Current));
            if feeding == FeedState::Stale {
                tracing::warn!("no active leader for {STALE_AFTER:?}: readings may be late");
            }
            (self.on_change)();
        }
    }

    /// Where a gateway starts: at the stream's end, or the log's where the stream is empty.
    async fn begin(&self, tail: &mut Tail, audit: &mut Audit) -> Result<Position, Lost> {
        let head = self.database.head().await?;
        let end = tail.end(head.epoch).await?;
        let (cursor, count) = match &end {
            Some(last) => (last.end, last.provenance.as_ref().and_then(|provenance| provenance.count)),
            None => {
                let count = self.database.total(head.epoch, head.last_tick).await?;
                (Position::after_tick(head.epoch, head.last_tick), count)
            }
        };
        self.start_at(cursor, count, audit);
        if end.is_some() {
            // what the stream still has: clients that come over from another gateway need no read of Postgres
            let past = tail.past(cursor, self.hub.window_bytes()).await?;
            let past = past.into_iter().filter_map(|entry| {
                Batch::decode(entry.predecessor, entry.end, entry.provenance.as_ref(), entry.readings).ok()
            });
            self.hub.remember(past.collect());
        }
        Ok(cursor)
    }

    /// A restore or a promotion: begin at the new epoch's start; sessions resolve their positions in it.
    async fn enter(&self, tail: &Tail, epoch: Epoch, audit: &mut Audit) -> Result<Position, Lost> {
        let head = self.database.head().await?;
        if head.epoch < epoch {
            return Err(Lost::Bus(tail.foreign(epoch)));
        }
        let cursor = Position::after_tick(head.epoch, head.first_tick);
        let count = self.database.total(head.epoch, head.first_tick).await?;
        tracing::warn!(epoch = head.epoch.0, "a new epoch");
        self.start_at(cursor, count, audit);
        Ok(cursor)
    }

    fn start_at(&self, cursor: Position, count: Option<i64>, audit: &mut Audit) {
        self.hub.start_at(cursor);
        audit.begin(count);
        self.metrics.set_head(cursor, count);
    }

    async fn take(&self, cursor: Position, entry: StreamEntry, audit: &mut Audit) -> Result<Position, Lost> {
        let cursor = if entry.predecessor > cursor {
            tracing::info!(from = %cursor, to = %entry.predecessor, "the stream has a gap; filling it from the log");
            self.metrics.gaps.inc();
            self.fill(cursor, entry.predecessor, audit).await?
        } else {
            cursor
        };
        if entry.end <= cursor {
            return Ok(cursor);
        }
        let provenance = entry.provenance;
        let batch = Batch::decode(entry.predecessor, entry.end, provenance.as_ref(), entry.readings)?;
        // an entry that another leader cut elsewhere may begin before the cursor; sessions drop what they had
        let fresh = batch.count() - batch.first_after(cursor);
        let count = provenance.as_ref().and_then(|provenance| provenance.count);
        match audit.compare(fresh, count) {
            Verdict::Right(readings) => self.metrics.audit_checked.inc_by(readings),
            Verdict::Unknown => {}
            Verdict::Wrong { counted, taken } => {
                self.metrics.audit_mismatch.inc();
                tracing::error!(from = %cursor, to = %entry.end, counted, taken, "the stream has other readings than the log counts; reading them from the log");
                let reached = self.fill(cursor, entry.end, audit).await?;
                // the log's batches may go on behind the entry
                audit.begin(count.filter(|_| reached == entry.end));
                return Ok(reached);
            }
        }
        let appended_at = provenance.as_ref().map(|provenance| provenance.appended_at);
        // held until it is published: from then on by the deliveries
        let span = provenance.and_then(|provenance| span(&self.tracer, &provenance, entry.end.tick));
        let batch = match &span {
            Some(span) => batch.within(span),
            None => batch,
        };
        self.publish(Source::Stream, fresh, appended_at, batch);
        Ok(entry.end)
    }

    /// Publishes the readings of a part of the log: the stream was trimmed past the cursor, or lacks them.
    async fn fill(&self, mut cursor: Position, upto: Position, audit: &mut Audit) -> Result<Position, Lost> {
        while cursor < upto {
            let page = match read_log(&self.database, cursor).await {
                Ok(page) => page,
                Err(ReadError::Database(error)) => return Err(error.into()),
                Err(ReadError::Forgotten(_)) => {
                    // past retention: sessions learn of the gap from the log
                    self.start_at(upto, None, audit);
                    return Ok(upto);
                }
            };
            let before = cursor;
            for batch in page.batches.iter().take_while(|batch| batch.predecessor < upto) {
                cursor = batch.end;
                audit.take(batch.count());
                self.publish(Source::Log, batch.count(), None, batch.bare());
            }
            cursor = cursor.max(page.covered.min(upto));
            if cursor == before {
                // the log does not reach this far: the database lags behind the stream
                sleep(FIRST_RETRY).await;
            }
        }
        Ok(cursor)
    }

    fn publish(&self, source: Source, readings: usize, appended_at: Option<i64>, batch: Batch) {
        let now = self.clock.now_micros();
        // the times are what another process wrote
        let since = |at: i64| now.saturating_sub(at);
        let ages = (since(batch.at_micros()), appended_at.map(since));
        self.metrics.count_taken(source, readings as u64, ages, &self.clock);
        let deliveries = self.hub.publish(Arc::new(batch.taken(now)));
        self.metrics.deliveries.inc_by(deliveries as u64);
    }
}

/// The span of an entry's way through this gateway, caused by its append, or by its readings where the leader records nothing.
fn span(tracer: &Tracer, provenance: &Provenance, tick: Tick) -> Option<Trace> {
    let readings = provenance.traces.iter().map(|(_, trace)| trace);
    let causes = provenance.span.iter().chain(readings).map(|trace| trace.as_str());
    let span = tracer.begin(causes, || Work {
        name: "process stream",
        kind: SpanKind::Consumer,
        began: SystemTime::now(),
        attributes: vec![
            ("messaging.system", "redis".into()),
            ("messaging.operation.name", "deliver".into()),
            ("messaging.operation.type", "process".into()),
            ("rowcast.tick", tick.0.into()),
        ],
    });
    span.map(Arc::new)
}
