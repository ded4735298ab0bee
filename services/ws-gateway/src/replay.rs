//! The log for sessions: from the window where it reaches back, else from Postgres, a few reads at a time.

use std::sync::Arc;

use store::{Database, ReadError, Resume};
use tokio::sync::Semaphore;
use wire::{Filter, Position, Reading, Tick};

use crate::{batch::Batch, hub::Hub};

/// Reads of Postgres that run at once for all sessions of a gateway.
const READS_AT_ONCE: usize = 4;

/// Readings of one read of Postgres.
const PAGE: i64 = 2_000;

/// Bytes of one read of the window.
const PAGE_BYTES: usize = 256 << 10;

/// Sensors of one snapshot.
const SNAPSHOT_SENSORS: i64 = 10_000;

/// Reads the log.
#[derive(Clone)]
pub(crate) struct Replay {
    hub: Hub,
    database: Database,
    turn: Arc<Semaphore>,
}

/// A piece of the log.
#[derive(Debug)]
pub(crate) struct Piece {
    /// Its readings.
    pub(crate) batches: Vec<Arc<Batch>>,
    /// Everything up to here is in it, or before it.
    pub(crate) covered: Position,
}

impl Replay {
    /// Over this window and this database.
    pub(crate) fn new(hub: Hub, database: Database) -> Self {
        Self { hub, database, turn: Arc::new(Semaphore::new(READS_AT_ONCE)) }
    }

    /// What a position is worth. The window's own need no question to Postgres.
    pub(crate) async fn verdict(&self, from: Position) -> store::Result<Resume> {
        if self.hub.recent(from, 0).is_some() {
            return Ok(Resume::From(from));
        }
        let _turn = self.turn.acquire().await;
        self.database.resume(from).await
    }

    /// The readings behind a position.
    pub(crate) async fn read(&self, after: Position) -> Result<Piece, ReadError> {
        if let Some(batches) = self.hub.recent(after, PAGE_BYTES) {
            let covered = batches.last().map_or(after, |last| last.end);
            return Ok(Piece { batches, covered });
        }
        let _turn = self.turn.acquire().await;
        read_log(&self.database, after).await
    }

    /// The newest reading of each sensor as of a position.
    pub(crate) async fn snapshot(&self, filter: &Filter, at: Position) -> Result<Vec<Reading>, ReadError> {
        let _turn = self.turn.acquire().await;
        self.database.latest(filter, at, SNAPSHOT_SENSORS).await
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
