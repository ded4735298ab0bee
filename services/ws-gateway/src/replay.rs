//! The log for sessions: from the window where it reaches back, else from Postgres, in reads that sessions share.
//!
//! Clients that come back after a fault come back together and from places that lie close together. What one of them
//! has read serves all whose position lies in it, and what a position is worth follows from a few rows that are kept
//! for a second: the reads of Postgres grow with what is missing, not with who misses it.

mod pages;

use std::{sync::Arc, time::Duration};

use ahash::AHashMap;
use chassis::Life;
use parking_lot::Mutex;
use store::{Database, ReadError};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep, timeout},
};
use wire::{Filter, Position, Resume, Tick, resume::LogExtent};

use self::pages::Pages;
use crate::{batch::Batch, hub::Hub, metrics::Metrics, session::SnapshotPage};

/// Snapshots and starts that are read from Postgres at once, beside the one reader of pages; whoever waits is served in
/// the order of coming.
const READS_AT_ONCE: usize = 4;

/// Pulls that read at once; each puts up to 4 MiB together.
const ANSWERS_AT_ONCE: usize = 8;

/// Further back than any retention, and a time that Postgres can count with.
const LONGEST_SPAN: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Readings of one read of Postgres.
const PAGE: i64 = 2_000;

/// Bytes of one read of the window.
const PAGE_BYTES: usize = 256 << 10;

/// Sensors of one page of a snapshot.
const SNAPSHOT_SENSORS: i64 = 1_000;

/// How long what a position is worth may be said from memory.
const CHRONICLE_LIVES: Duration = Duration::from_secs(1);

/// How long a page of a snapshot serves others that ask for the same.
const SNAPSHOT_LIVES: Duration = Duration::from_millis(500);

/// Pages of snapshots in memory at most.
const SNAPSHOT_PAGES: usize = 64;

/// Memory of those pages at most.
const SNAPSHOT_BYTES: usize = 16 << 20;

/// How often what has become old is dropped, though nobody asks.
const PURGE_EVERY: Duration = Duration::from_secs(5);

/// How long a read waits for another's that may serve it, too.
const WAIT_LIMIT: Duration = Duration::from_secs(5);

/// Reads the log.
#[derive(Clone)]
pub(crate) struct Replay {
    inner: Arc<Inner>,
}

struct Inner {
    hub: Hub,
    database: Database,
    turn: Semaphore,
    answers: Semaphore,
    /// One reader at a time: whoever waited finds what the one before has read.
    paging: tokio::sync::Mutex<()>,
    pages: Mutex<Pages>,
    chronicle: tokio::sync::Mutex<Option<(Instant, Arc<LogExtent>)>>,
    snapshots: tokio::sync::Mutex<Snapshots>,
    metrics: Metrics,
}

/// What was asked for: the filter, as of when, behind which sensor.
type SnapshotKey = (Arc<Filter>, Option<Position>, Option<String>);

#[derive(Default)]
struct Snapshots {
    pages: AHashMap<SnapshotKey, (Instant, SnapshotPage)>,
}

/// A piece of the log.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// Its readings.
    pub(crate) batches: Arc<[Arc<Batch>]>,
    /// Everything up to here is in it, or before it.
    pub(crate) covered: Position,
}

impl Replay {
    /// Over this window and this database.
    pub(crate) fn new(hub: Hub, database: Database, metrics: Metrics) -> Self {
        let inner = Inner {
            hub,
            database,
            turn: Semaphore::new(READS_AT_ONCE),
            answers: Semaphore::new(ANSWERS_AT_ONCE),
            paging: tokio::sync::Mutex::default(),
            pages: Mutex::default(),
            chronicle: tokio::sync::Mutex::default(),
            snapshots: tokio::sync::Mutex::default(),
            metrics,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Drops what has become old, until the process stops.
    pub(crate) async fn purge(self, life: Life) {
        while life.soft().run_until_cancelled(sleep(PURGE_EVERY)).await.is_some() {
            self.inner.snapshots.lock().await.purge();
        }
    }

    /// A turn to read for an answer that is put together in memory; none if it does not come soon.
    pub(crate) async fn reading(&self) -> Option<SemaphorePermit<'_>> {
        timeout(WAIT_LIMIT, self.inner.answers.acquire()).await.ok()?.ok()
    }

    /// What a position is worth. The window's own need no question to Postgres.
    pub(crate) async fn verdict(&self, from: Position) -> store::Result<Resume> {
        if self.inner.hub.recent(from, 0).is_some() {
            return Ok(Resume::From(from));
        }
        let asked = Instant::now();
        let kept = self.chronicle(asked - CHRONICLE_LIVES).await?.resolve(from);
        // that it can be had is checked again by the read; that it cannot is final, and said only from fresh knowledge
        if let Resume::From(_) = kept { Ok(kept) } else { Ok(self.chronicle(asked).await?.resolve(from)) }
    }

    /// The chronicle as it was at `not_before` or later.
    async fn chronicle(&self, not_before: Instant) -> store::Result<Arc<LogExtent>> {
        let Ok(mut kept) = timeout(WAIT_LIMIT, self.inner.chronicle.lock()).await else {
            // whoever reads it gets no answer; on another connection there may be one
            return Ok(Arc::new(self.inner.database.log_extent().await?));
        };
        if let Some((at, chronicle)) = &*kept
            && *at >= not_before
        {
            return Ok(chronicle.clone());
        }
        let asked = Instant::now();
        self.inner.metrics.replay_reads.inc();
        let chronicle = Arc::new(self.inner.database.log_extent().await?);
        *kept = Some((asked, chronicle.clone()));
        Ok(chronicle)
    }

    /// The log no longer reaches back where it was thought to: what is known of it is old.
    pub(crate) async fn doubt(&self) {
        *self.inner.chronicle.lock().await = None;
    }

    /// Where a time before now began, and whether the log reaches back so far.
    pub(crate) async fn since(&self, last: Duration) -> store::Result<(Position, bool)> {
        let _turn = self.inner.turn.acquire().await;
        self.inner.metrics.replay_reads.inc();
        self.inner.database.since(last.min(LONGEST_SPAN)).await
    }

    /// The readings behind a position.
    pub(crate) async fn read(&self, after: Position) -> Result<Piece, ReadError> {
        if let Some(piece) = self.at_hand(after) {
            return Ok(piece);
        }
        let Ok(_paging) = timeout(WAIT_LIMIT, self.inner.paging.lock()).await else {
            // nothing more is known; whoever wants it asks again
            return Ok(Piece { batches: [].into(), covered: after });
        };
        // who read before may have read this too
        if let Some(piece) = self.at_hand(after) {
            return Ok(piece);
        }
        self.inner.metrics.replay_reads.inc();
        let piece = read_log(&self.inner.database, after).await?;
        self.inner.pages.lock().keep(after, piece.clone());
        Ok(piece)
    }

    fn at_hand(&self, after: Position) -> Option<Piece> {
        if let Some(batches) = self.inner.hub.recent(after, PAGE_BYTES) {
            let covered = batches.last().map_or(after, |last| last.end);
            return Some(Piece { batches: batches.into(), covered });
        }
        self.inner.pages.lock().find(after)
    }

    /// A page of the newest reading of each sensor, as of a position, or of now.
    pub(crate) async fn snapshot(
        &self,
        filter: Arc<Filter>,
        at: Option<Position>,
        after: Option<String>,
    ) -> Result<SnapshotPage, ReadError> {
        let key = (filter, at, after);
        // one reader at a time, so that a crowd that asks for the same is one reader
        let mut snapshots = timeout(WAIT_LIMIT, self.inner.snapshots.lock()).await.ok();
        if let Some(page) = snapshots.as_ref().and_then(|snapshots| snapshots.find(&key)) {
            return Ok(page);
        }
        let _turn = self.inner.turn.acquire().await;
        self.inner.metrics.replay_reads.inc();
        let read_at = Instant::now();
        let database = &self.inner.database;
        let at = match at.or_else(|| self.inner.hub.head()) {
            Some(at) => at,
            None => {
                let head = database.head().await?;
                Position::after_tick(head.epoch, head.last_tick)
            }
        };
        let latest = database.latest(&key.0, at, key.2.as_deref(), SNAPSHOT_SENSORS).await?;
        let page = SnapshotPage { at, newest: latest.newest.into(), next: latest.next };
        if let Some(snapshots) = &mut snapshots {
            snapshots.keep(key, read_at, page.clone());
        }
        Ok(page)
    }
}

impl Snapshots {
    fn find(&self, key: &SnapshotKey) -> Option<SnapshotPage> {
        let (read_at, page) = self.pages.get(key)?;
        (read_at.elapsed() < SNAPSHOT_LIVES).then(|| page.clone())
    }

    fn keep(&mut self, key: SnapshotKey, read_at: Instant, page: SnapshotPage) {
        self.purge();
        let bytes: usize = self.pages.values().map(|(_, page)| page.cost()).sum();
        if self.pages.len() < SNAPSHOT_PAGES && bytes + page.cost() <= SNAPSHOT_BYTES {
            self.pages.insert(key, (read_at, page));
        }
    }

    fn purge(&mut self) {
        self.pages.retain(|_, (read_at, _)| read_at.elapsed() < SNAPSHOT_LIVES);
    }
}

/// A page of the log from Postgres.
pub(crate) async fn read_log(database: &Database, after: Position) -> Result<Piece, ReadError> {
    let page = database.read(after, Tick(i64::MAX), PAGE).await?;
    let mut predecessor = after;
    let batches = page.ticks.iter().filter_map(|tick| {
        let batch = Batch::from_log(predecessor, tick)?;
        predecessor = batch.end;
        Some(Arc::new(batch))
    });
    Ok(Piece { batches: batches.collect(), covered: page.covered })
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;
    use wire::{Epoch, Reading};

    use super::*;

    fn key(number: i64) -> SnapshotKey {
        (Arc::new(Filter::All), Some(Position::after_tick(Epoch(1), Tick(number))), None)
    }

    fn page(bytes: usize) -> SnapshotPage {
        let reading = Reading {
            id: 1,
            sensor_id: "a".into(),
            value: 1.0,
            timestamp: OffsetDateTime::UNIX_EPOCH,
            metadata: "x".repeat(bytes),
            created_at: OffsetDateTime::UNIX_EPOCH,
            updated_at: OffsetDateTime::UNIX_EPOCH,
        };
        SnapshotPage { at: Position::default(), newest: [reading].into(), next: None }
    }

    #[tokio::test(start_paused = true)]
    async fn pages_of_snapshots_are_bounded_in_bytes_and_go_when_they_are_old() {
        let mut snapshots = Snapshots::default();
        for number in 0..20 {
            snapshots.keep(key(number), Instant::now(), page(1 << 20));
        }
        let kept = snapshots.pages.values().map(|(_, page)| page.cost()).sum::<usize>();
        assert!((SNAPSHOT_BYTES / 2..=SNAPSHOT_BYTES).contains(&kept), "{kept}");
        assert!(snapshots.find(&key(0)).is_some());
        tokio::time::advance(SNAPSHOT_LIVES).await;
        assert!(snapshots.find(&key(0)).is_none(), "what is old is told to nobody");
        snapshots.purge();
        assert!(snapshots.pages.is_empty());
    }
}
