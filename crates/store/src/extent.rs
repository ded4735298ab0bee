//! The extent of the log, against which clients' positions are resolved.

use wire::{
    Epoch, Tick,
    resume::{EpochStart, LogExtent},
};

use crate::{
    deadline::within,
    error::{Error, Result},
    log::head,
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

async fn extent(session: &mut Session) -> Result<LogExtent> {
    let query = "select epoch, first_tick, system_identifier from rowcast.epoch order by epoch";
    let epochs: Vec<(i64, i64, i64)> = session.all(sqlx::query_as(query)).await?;
    let epochs = epochs.into_iter().map(|(epoch, first_tick, system)| EpochStart {
        epoch: Epoch(epoch),
        first_tick: Tick(first_tick),
        system,
    });
    // the head is read after the epochs, so it is never older than they are
    let head = head(session).await?.ok_or(Error(sqlx::Error::RowNotFound))?;
    Ok(LogExtent { head, epochs: epochs.collect() })
}
