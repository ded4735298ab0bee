//! Pages of the log, read from Postgres.

use std::sync::Arc;

use store::{Database, ReadError};
use wire::{Position, Tick};

use super::batch::Batch;

/// Readings of one read.
const PAGE: i64 = 2_000;

/// A page of the log.
#[derive(Debug, Clone)]
pub(crate) struct LogPage {
    /// Its readings.
    pub(crate) batches: Arc<[Arc<Batch>]>,
    /// Everything up to here is in it, or before it.
    pub(crate) covered: Position,
}

/// Reads what comes behind a position.
pub(crate) async fn read_log(database: &Database, after: Position) -> Result<LogPage, ReadError> {
    let page = database.read(after, Tick(i64::MAX), PAGE).await?;
    let mut predecessor = after;
    let batches = page.ticks.iter().filter_map(|tick| {
        let batch = Batch::from_log(predecessor, tick)?;
        predecessor = batch.end;
        Some(Arc::new(batch))
    });
    Ok(LogPage { batches: batches.collect(), covered: page.covered })
}
