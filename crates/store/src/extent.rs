//! The extent of the log, against which clients' positions are resolved.

use wire::{
    Epoch, Tick,
    resume::{EpochStart, LogExtent},
};

use crate::{
    deadline::within,
    error::{Error, Result},
    log::head,
    metrics::Statement,
    pool::Database,
    session::Session,
};

impl Database {
    /// The log's first and last positions, and its epochs.
    pub async fn log_extent(&self) -> Result<LogExtent> {
        let mut pooled = self.acquire().await?;
        let read = within(pooled.limit(), extent(pooled.session())).await?;
        pooled.finish(read).await
    }
}

/// Epochs and head of one moment: an epoch that begins between the two reads would make a position ahead that it has lost.
async fn extent(session: &mut Session) -> Result<LogExtent> {
    loop {
        let epochs = epochs(session).await?;
        let head = head(session).await?.ok_or(Error(sqlx::Error::RowNotFound))?;
        if epochs.last().is_some_and(|newest| newest.epoch == head.epoch) {
            return Ok(LogExtent { head, epochs });
        }
    }
}

async fn epochs(session: &mut Session) -> Result<Vec<EpochStart>> {
    let query = "select epoch, first_tick, system_identifier from rowcast.epoch order by epoch";
    let epochs: Vec<(i64, i64, i64)> = session.all(Statement::Head, sqlx::query_as(query)).await?;
    let epochs = epochs.into_iter().map(|(epoch, first_tick, system)| EpochStart {
        epoch: Epoch(epoch),
        first_tick: Tick(first_tick),
        system,
    });
    Ok(epochs.collect())
}
