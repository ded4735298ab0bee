//! How far the log reaches: what clients' positions are resolved by.

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
    /// How far the log reaches, and through which epochs.
    pub async fn log_extent(&self) -> Result<LogExtent> {
        let mut lent = self.lend().await?;
        let read = within(lent.limit(), extent(lent.session())).await?;
        lent.after(read).await
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
    // the head after the epochs: an epoch that began in between is ahead of both
    let head = head(session).await?.ok_or(Error(sqlx::Error::RowNotFound))?;
    Ok(LogExtent { head, epochs: epochs.collect() })
}
