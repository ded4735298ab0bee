//! Follows the stream, fills its gaps from Postgres, and publishes in the one order.

use std::{sync::Arc, time::Duration};

use bus::{Read, StreamEntry, Tail};
use chassis::{Condition, Fault, Life, Outage};
use store::{Database, ReadError};
use tokio::time::{Instant, sleep, timeout};
use wire::{Epoch, Position, Tick};

use crate::{
    batch::Batch,
    hub::{Feeding, Hub},
    metrics::Metrics,
    replay::read_log,
    roster::Roster,
};

/// How long one read waits for an entry before the leader's beat is looked at.
const BLOCK: Duration = Duration::from_secs(1);

/// The same while no leader has been heard yet.
const FIRST_BLOCK: Duration = Duration::from_millis(100);

/// A leader beats every second. Silent for so long it is dead or cut off, and clients are told.
const STALE_AFTER: Duration = Duration::from_secs(4);

/// Before the second try to follow again; twice as long before each further one.
const FIRST_RETRY: Duration = Duration::from_millis(200);

/// Between tries at most.
const LONGEST_RETRY: Duration = Duration::from_secs(2);

/// A feed that is lost again so soon after it was followed comes and goes.
const RESTLESS_WITHIN: Duration = Duration::from_secs(10);

/// So long one that comes and goes must have been followed before that is told.
const SETTLED_AFTER: Duration = Duration::from_secs(5);

/// How long the log may take to say how far it is.
const LOOK_LIMIT: Duration = Duration::from_secs(1);

/// A leader without Redis makes one tick that it cannot append. With more than that, Redis is there for others.
const TICKS_WITHOUT_REDIS: i64 = 1;

/// Why the feed stopped following.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("another database is in the place of the one whose stream was followed")]
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
    roster: Roster,
    ready: Condition,
    metrics: Metrics,
}

/// When a leader was last heard, by this machine's clock alone.
struct Pulse {
    beat: Option<i64>,
    began_at: Instant,
    heard_at: Option<Instant>,
}

/// That the stream cannot be followed, from the first failure until it is followed again.
struct Loss {
    outage: Outage,
    /// The database's identity as it was last read.
    identity: Option<String>,
    /// Whether the stream is followed; at first it never was.
    over: bool,
    /// When the last one was over.
    over_at: Option<Instant>,
    /// Since when the stream could be read each time.
    read_since: Option<Instant>,
    /// Whether it began soon after another: it is over when the stream has been followed for a while.
    restless: bool,
    /// The log's last tick when it was first looked at since.
    tick: Option<Tick>,
}

impl Loss {
    fn new() -> Self {
        Self {
            outage: Outage::new("the feed"),
            identity: None,
            over: false,
            over_at: None,
            read_since: None,
            restless: false,
            tick: None,
        }
    }

    /// The stream was read: whether that, or what came before it, is the end of the loss.
    fn ends(&mut self, now: Instant) -> bool {
        let since = *self.read_since.get_or_insert(now);
        if self.over || (self.restless && now < since + SETTLED_AFTER) {
            return false;
        }
        self.outage.ends();
        (self.over, self.over_at, self.tick) = (true, Some(now), None);
        true
    }

    /// The stream could not be read: whether that begins a loss, and is not part of one.
    fn begins(&mut self, now: Instant) -> bool {
        self.read_since = None;
        let begins = std::mem::take(&mut self.over);
        if begins {
            self.restless = self.over_at.is_some_and(|at| now < at + RESTLESS_WITHIN);
        }
        begins
    }

    /// Whether a leader appends ticks to the stream that this gateway cannot follow.
    async fn goes_on_without_us(&mut self, database: &Database) -> bool {
        let Ok(Ok(head)) = timeout(LOOK_LIMIT, database.head()).await else { return false };
        let first = *self.tick.get_or_insert(head.last_tick);
        head.last_tick.0 > first.0 + TICKS_WITHOUT_REDIS
    }
}

impl Feed {
    pub(crate) fn new(
        stream: bus::Options,
        database: Database,
        (hub, roster): (Hub, Roster),
        ready: Condition,
        metrics: Metrics,
    ) -> Self {
        Self { stream, database, hub, roster, ready, metrics }
    }

    /// Follows until the process stops and no session is left that it could serve.
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
        let (mut loss, mut retry) = (Loss::new(), FIRST_RETRY);
        loop {
            let Err(lost) = self.until_lost(&mut loss).await;
            if loss.begins(Instant::now()) {
                self.metrics.feed_losses.inc();
                retry = FIRST_RETRY;
            }
            let why = loss.outage.fails(&lost);
            if loss.goes_on_without_us(&self.database).await {
                self.note(Feeding::Cut);
                self.ready.fail(Fault::Own(format!("cut off from the stream: {why}")));
            } else {
                self.note(Feeding::Away);
                self.ready.fail(Fault::Shared(why));
            }
            sleep(retry).await;
            retry = (2 * retry).min(LONGEST_RETRY);
        }
    }

    async fn until_lost(&self, loss: &mut Loss) -> Result<std::convert::Infallible, Lost> {
        let identity = self.identity(loss).await?;
        let mut tail = Tail::connect(&self.stream.of(&identity)).await?;
        let mut cursor = match self.hub.head() {
            Some(head) => head,
            None => self.begin(&mut tail).await?,
        };
        let mut pulse =
            Pulse { beat: tail.beat(cursor.epoch).await?, began_at: Instant::now(), heard_at: None };
        loop {
            let block = if pulse.heard_at.is_some() { BLOCK } else { FIRST_BLOCK };
            match tail.read(cursor, block).await? {
                Read::Quiet => {
                    pulse.feel(tail.beat(cursor.epoch).await?);
                    if pulse.feeding() == Feeding::Stale && self.database_is_another(&identity).await {
                        return Err(Lost::OtherDatabase);
                    }
                }
                Read::Entries(entries) => {
                    pulse.heard_at = Some(Instant::now());
                    for entry in entries {
                        cursor = self.take(cursor, entry).await?;
                    }
                }
                Read::NewEpoch(epoch) => {
                    pulse.heard_at = Some(Instant::now());
                    cursor = self.enter(&tail, epoch).await?;
                }
            }
            // only now is it known that the stream can be read
            if loss.ends(Instant::now()) {
                tracing::info!(position = %cursor, "following the stream");
            }
            if !loss.over {
                continue;
            }
            // a gateway that begins waits for a leader's word, so that its first clients are not told of staleness
            if pulse.heard_at.is_some() || pulse.began_at.elapsed() >= STALE_AFTER {
                self.ready.hold();
            }
            self.note(pulse.feeding());
        }
    }

    /// Whose stream it is. While the database is away, its stream may still have what nobody was told.
    async fn identity(&self, loss: &mut Loss) -> store::Result<String> {
        match (self.database.identity().await, &loss.identity) {
            (Err(_), Some(known)) => Ok(known.clone()),
            (read, _) => Ok(loss.identity.insert(read?).clone()),
        }
    }

    /// Whether another database has come into the place of the one whose stream is followed: made anew, or restored. One that
    /// does not answer is no other.
    async fn database_is_another(&self, identity: &str) -> bool {
        matches!(timeout(LOOK_LIMIT, self.database.identity()).await, Ok(Ok(now)) if now != identity)
    }

    /// Tells everyone at once when what the feed can promise changes.
    fn note(&self, feeding: Feeding) {
        if self.hub.set_feeding(feeding) {
            self.metrics.stale.set(i64::from(feeding != Feeding::Current));
            if feeding == Feeding::Stale {
                tracing::warn!("no leader has been heard for {STALE_AFTER:?}: readings may be late");
            }
            self.roster.all().iter().for_each(|mailbox| mailbox.nudge());
        }
    }

    /// Where a gateway begins: the stream's end, or the log's where the stream is empty.
    async fn begin(&self, tail: &mut Tail) -> Result<Position, Lost> {
        let head = self.database.head().await?;
        let end = tail.end(head.epoch).await?;
        let cursor = end.unwrap_or(Position::after_tick(head.epoch, head.last_tick));
        self.hub.start_at(cursor);
        if end.is_some() {
            // what the stream still has: clients that come over from another gateway need no read of Postgres
            let past = tail.past(cursor, self.hub.window_bytes()).await?;
            let past = past
                .into_iter()
                .filter_map(|entry| Batch::decode(entry.predecessor, entry.end, entry.readings).ok());
            self.hub.remember(past.collect());
        }
        Ok(cursor)
    }

    /// A restore or a promotion: begin at the new epoch's start; sessions ask the log what their positions are
    /// worth in it.
    async fn enter(&self, tail: &Tail, epoch: Epoch) -> Result<Position, Lost> {
        let head = self.database.head().await?;
        if head.epoch < epoch {
            return Err(Lost::Bus(tail.foreign(epoch)));
        }
        let cursor = Position::after_tick(head.epoch, head.first_tick);
        tracing::warn!(epoch = head.epoch.0, "a new epoch");
        self.hub.start_at(cursor);
        Ok(cursor)
    }

    async fn take(&self, cursor: Position, entry: StreamEntry) -> Result<Position, Lost> {
        let cursor =
            if entry.predecessor > cursor { self.fill(cursor, entry.predecessor).await? } else { cursor };
        if entry.end <= cursor {
            return Ok(cursor);
        }
        let batch = Batch::decode(entry.predecessor, entry.end, entry.readings)?;
        // an entry that another leader cut elsewhere may begin before the cursor; sessions drop what they had
        self.publish(Arc::new(batch));
        Ok(entry.end)
    }

    /// The stream was trimmed past us: what lies between comes from the log.
    async fn fill(&self, mut cursor: Position, upto: Position) -> Result<Position, Lost> {
        tracing::info!(from = %cursor, to = %upto, "the stream has a gap; filling it from the log");
        self.metrics.gaps.inc();
        while cursor < upto {
            let piece = match read_log(&self.database, cursor).await {
                Ok(piece) => piece,
                Err(ReadError::Database(error)) => return Err(error.into()),
                Err(ReadError::Forgotten(_)) => {
                    // past retention: sessions are told by the log itself
                    self.hub.start_at(upto);
                    return Ok(upto);
                }
            };
            let before = cursor;
            for batch in piece.batches.iter().take_while(|batch| batch.predecessor < upto) {
                cursor = batch.end;
                self.publish(batch.clone());
            }
            cursor = cursor.max(piece.covered.min(upto));
            if cursor == before {
                // the log has not got there yet, which only a database that lags behind the stream can say
                sleep(FIRST_RETRY).await;
            }
        }
        Ok(cursor)
    }

    fn publish(&self, batch: Arc<Batch>) {
        self.metrics.readings.inc_by(batch.count() as u64);
        self.metrics.observe_age(batch.at_micros());
        let deliveries = self.hub.publish(batch);
        self.metrics.deliveries.inc_by(deliveries as u64);
    }
}

impl Pulse {
    fn feel(&mut self, beat: Option<i64>) {
        if beat != self.beat {
            (self.beat, self.heard_at) = (beat, Some(Instant::now()));
        }
    }

    fn feeding(&self) -> Feeding {
        let current = self.heard_at.is_some_and(|heard_at| heard_at.elapsed() < STALE_AFTER);
        if current { Feeding::Current } else { Feeding::Stale }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_that_comes_and_goes_is_told_when_it_has_settled() {
        let (mut loss, start) = (Loss::new(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert!(!loss.begins(at(0)) && loss.ends(at(1)), "the first is over with the first read");
        assert!(!loss.ends(at(2)), "once");
        assert!(loss.begins(at(3)) && !loss.begins(at(4)));
        assert!(!loss.ends(at(5)) && !loss.begins(at(6)), "it came and went");
        assert!(!loss.ends(at(7)) && !loss.ends(at(11)) && loss.ends(at(12)), "five seconds in a row");
        assert!(loss.begins(at(60)) && loss.ends(at(60)), "a single one after a long time is over at once");
    }
}
