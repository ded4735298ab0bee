//! Follows the stream, fills its gaps from Postgres, and publishes in the one order.

use std::{sync::Arc, time::Duration};

use bus::{Read, StreamEntry, Tail};
use chassis::{Condition, Life};
use store::{Database, ReadError};
use tokio::time::{Instant, sleep};
use wire::{Epoch, Position};

use crate::{
    batch::Batch,
    hub::{Feeding, Hub},
    metrics::Metrics,
    replay::read_log,
    roster::Roster,
};

/// How long one read waits for an entry before the leader's beat is looked at.
const BLOCK: Duration = Duration::from_secs(1);

/// A leader beats every second. Silent for so long it is dead or cut off, and clients are told.
const STALE_AFTER: Duration = Duration::from_secs(4);

/// Between tries to follow again.
const RETRY: Duration = Duration::from_millis(200);

/// Why the feed stopped following.
#[derive(Debug, thiserror::Error)]
enum Lost {
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
    heard_at: Instant,
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
        loop {
            let Err(lost) = self.until_lost().await;
            self.note(Feeding::Lost);
            self.metrics.feed_losses.inc();
            self.ready.fail(format!("the feed is lost: {lost}"));
            tracing::warn!(error = &lost as &dyn std::error::Error, "the feed is lost");
            sleep(RETRY).await;
        }
    }

    async fn until_lost(&self) -> Result<std::convert::Infallible, Lost> {
        let mut tail = Tail::connect(&self.stream).await?;
        let mut cursor = match self.hub.head() {
            Some(head) => head,
            None => self.begin(&mut tail).await?,
        };
        tracing::info!(position = %cursor, "following the stream");
        self.note(Feeding::Current);
        self.ready.hold();
        let mut pulse = Pulse { beat: tail.beat().await?, heard_at: Instant::now() };
        loop {
            match tail.read(cursor, BLOCK).await? {
                Read::Quiet => pulse.feel(tail.beat().await?),
                Read::Entries(entries) => {
                    pulse.heard_at = Instant::now();
                    for entry in entries {
                        cursor = self.take(cursor, entry).await?;
                    }
                }
                Read::NewEpoch(epoch) => {
                    pulse.heard_at = Instant::now();
                    cursor = self.enter(epoch).await?;
                }
            }
            self.note(pulse.feeding());
        }
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
    async fn enter(&self, epoch: Epoch) -> Result<Position, Lost> {
        let head = self.database.head().await?;
        if head.epoch < epoch {
            // a replica of the database that is behind, or a primary that is none any more
            return Err(Lost::Bus(bus::Error::Reply("the stream's epoch is not in the database")));
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
                sleep(RETRY).await;
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
            (self.beat, self.heard_at) = (beat, Instant::now());
        }
    }

    fn feeding(&self) -> Feeding {
        if self.heard_at.elapsed() < STALE_AFTER { Feeding::Current } else { Feeding::Stale }
    }
}
