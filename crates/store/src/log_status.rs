//! The leader's progress, as a standby sees it.

use sqlx::FromRow;
use wire::{Epoch, Tick};

use crate::{error::Result, leader::Leader, metrics::Statement};

/// The log's end, and whether readings wait behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogStatus {
    /// The current epoch.
    pub epoch: Epoch,
    /// The last tick.
    pub head: Tick,
    /// Readings are visible that are in no tick.
    pub waiting: bool,
    /// A leader's statement is running now, however long it takes.
    pub working: bool,
}

#[derive(FromRow)]
struct End {
    epoch: i64,
    no: i64,
    /// The first transaction that the tick's snapshot could not show.
    beyond: String,
    working: bool,
}

impl Leader {
    /// Reads the status without changing anything. Readings of transactions that were open at the last tick and have
    /// ended since do not count as waiting: a standby needs to know whether the leader works, not how far it is.
    pub async fn log_status(&mut self) -> Result<LogStatus> {
        let end = sqlx::query_as(
            "select epoch, no, pg_snapshot_xmax(snap)::text as beyond,
                    exists (select from pg_stat_activity
                             where state = 'active' and pid <> pg_backend_pid() and datname = current_database()
                               and application_name = current_setting('application_name')
                               and query like '%rowcast.%' and query not like '%pg_stat_activity%') as working
               from rowcast.tick order by no desc limit 1",
        );
        let End { epoch, no, beyond, working } = self.session().one(Statement::Standby, end).await?;
        // ordered, and not `exists`: a generic plan would scan the whole table to find nothing
        let waiting = sqlx::query_scalar(
            "select (select true from sensor_readings where xid >= $1::text::xid8 order by xid limit 1) is not null",
        )
        .bind(beyond);
        let waiting = self.session().scalar(Statement::Standby, waiting).await?;
        Ok(LogStatus { epoch: Epoch(epoch), head: Tick(no), waiting, working })
    }
}
