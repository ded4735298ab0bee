//! The log for sessions: from the window where it reaches back, else from Postgres, in reads that sessions share.
//!
//! Clients that come back after a fault come back together and from places that lie close together. What one of them
//! has read serves all whose position lies in it, and whether a position can be read on from follows from a few rows that are
//! kept for a second: the reads of Postgres grow with what is missing, not with the number of clients that miss it.

mod pages;

use std::{sync::Arc, time::Duration};

use chassis::Life;
use parking_lot::Mutex;
use store::{Database, ReadError};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep, timeout},
};
use wire::{Filter, Position, Resume, resume::LogExtent};

use self::pages::Pages;
use super::{
    hub::Hub,
    log::{LogPage, read_log},
    snapshot::{SnapshotPage, Snapshots},
};
use crate::metrics::Metrics;

/// Snapshots and starts that are read from Postgres at once, beside the one reader of pages; others
/// wait in order.
const READS_AT_ONCE: usize = 4;

/// Pulls that read at once; each puts up to 4 MiB together.
const ANSWERS_AT_ONCE: usize = 8;

/// Further back than any retention, and a time that Postgres can count with.
const LONGEST_SPAN: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Bytes of one read of the window.
const PAGE_BYTES: usize = 256 << 10;

/// Sensors of one page of a snapshot.
const SNAPSHOT_SENSORS: i64 = 1_000;

/// How long the extent of the log may be taken from memory.
const EXTENT_KEPT_FOR: Duration = Duration::from_secs(1);

/// How often old pages are dropped, even without requests.
const PURGE_EVERY: Duration = Duration::from_secs(5);

/// How long a read waits for another one that may serve it, too.
const WAIT_LIMIT: Duration = Duration::from_secs(5);

/// Reads the log.
#[derive(Clone)]
pub(crate) struct Replay {
    inner: Arc<Inner>,
}

struct Inner {
    hub: Hub,
    database: Database,
    reads: Semaphore,
    answers: Semaphore,
    /// One reader at a time: those that waited find what the one before has read.
    paging: tokio::sync::Mutex<()>,
    pages: Mutex<Pages>,
    extent: tokio::sync::Mutex<Option<(Instant, Arc<LogExtent>)>>,
    snapshots: tokio::sync::Mutex<Snapshots>,
    metrics: Metrics,
}

impl Replay {
    /// Over this window and this database.
    pub(crate) fn new(hub: Hub, database: Database, metrics: Metrics) -> Self {
        let inner = Inner {
            hub,
            database,
            reads: Semaphore::new(READS_AT_ONCE),
            answers: Semaphore::new(ANSWERS_AT_ONCE),
            paging: tokio::sync::Mutex::default(),
            pages: Mutex::default(),
            extent: tokio::sync::Mutex::default(),
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

    /// A permit to read for an answer that is put together in memory; none if it does not come soon.
    pub(crate) async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        timeout(WAIT_LIMIT, self.inner.answers.acquire()).await.ok()?.ok()
    }

    /// The permits in use, and how many there are: of reads, and of answers to pulls.
    pub(crate) fn permits(&self) -> [(usize, usize); 2] {
        let used =
            |permits: &Semaphore, limit: usize| (limit - permits.available_permits().min(limit), limit);
        [used(&self.inner.reads, READS_AT_ONCE), used(&self.inner.answers, ANSWERS_AT_ONCE)]
    }

    /// Whether the log can be read on from a position. Those in the window need no read of Postgres.
    pub(crate) async fn resolve(&self, from: Position) -> store::Result<Resume> {
        if self.inner.hub.recent(from, 0).is_some() {
            return Ok(Resume::From(from));
        }
        let asked = Instant::now();
        let kept = self.extent(asked - EXTENT_KEPT_FOR).await?.resolve(from);
        // the read checks again that a position can be read on from; that it cannot is final, and decided only by a fresh read
        if let Resume::From(_) = kept { Ok(kept) } else { Ok(self.extent(asked).await?.resolve(from)) }
    }

    /// The extent as it was at `not_before` or later.
    async fn extent(&self, not_before: Instant) -> store::Result<Arc<LogExtent>> {
        let Ok(mut kept) = timeout(WAIT_LIMIT, self.inner.extent.lock()).await else {
            // the one reader gets no answer; another connection may get one
            return Ok(Arc::new(self.inner.database.log_extent().await?));
        };
        if let Some((at, extent)) = &*kept
            && *at >= not_before
        {
            return Ok(extent.clone());
        }
        let asked = Instant::now();
        self.inner.metrics.replay_reads.inc();
        let extent = Arc::new(self.inner.database.log_extent().await?);
        *kept = Some((asked, extent.clone()));
        Ok(extent)
    }

    /// The log no longer reaches back to where it was believed to: forgets what is known of its extent.
    pub(crate) async fn forget_extent(&self) {
        *self.inner.extent.lock().await = None;
    }

    /// Where a time before now began, and whether the log reaches back so far.
    pub(crate) async fn since(&self, last: Duration) -> store::Result<(Position, bool)> {
        let _permit = self.inner.reads.acquire().await;
        self.inner.metrics.replay_reads.inc();
        self.inner.database.since(last.min(LONGEST_SPAN)).await
    }

    /// The readings behind a position.
    pub(crate) async fn read(&self, after: Position) -> Result<LogPage, ReadError> {
        if let Some(page) = self.cached(after) {
            return Ok(page);
        }
        let Ok(_paging) = timeout(WAIT_LIMIT, self.inner.paging.lock()).await else {
            // nothing more is known; the caller asks again
            return Ok(LogPage { batches: [].into(), covered: after });
        };
        // the reader before may have read this too
        if let Some(page) = self.cached(after) {
            return Ok(page);
        }
        self.inner.metrics.replay_reads.inc();
        let page = read_log(&self.inner.database, after).await?;
        self.inner.pages.lock().keep(after, page.clone());
        Ok(page)
    }

    fn cached(&self, after: Position) -> Option<LogPage> {
        if let Some(batches) = self.inner.hub.recent(after, PAGE_BYTES) {
            let covered = batches.last().map_or(after, |last| last.end);
            return Some(LogPage { batches: batches.into(), covered });
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
        // one reader at a time, so that many requests for the same page cost one read
        let mut snapshots = timeout(WAIT_LIMIT, self.inner.snapshots.lock()).await.ok();
        if let Some(page) = snapshots.as_ref().and_then(|snapshots| snapshots.find(&key)) {
            return Ok(page);
        }
        let _permit = self.inner.reads.acquire().await;
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
