//! Whether another installation writes the stream: that of the database which this one is a physical copy of.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use wire::Epoch;

use super::{
    lost::Lost,
    runner::{BEAT_EVERY, Runner},
};
use crate::planner::POLL;

/// A leader that was silent for longer has ended: it appends, or moves the beat at each poll.
const SILENT_LIMIT: Duration = Duration::from_millis(1_900);

/// Between two checks of one that may have ended.
const CHECK_EVERY: Duration = Duration::from_millis(100);

impl Runner<'_> {
    /// An epoch's first append or beat stops the leader of the epoch before. If that leader is still active, this database is a
    /// copy of its own, and must not stop it.
    pub(super) async fn check_is_alone(&mut self, epoch: Epoch) -> Result<(), Lost> {
        let appender = &mut self.appender;
        let Some(newest) = appender.newest_epoch().await?.filter(|newest| *newest < epoch) else {
            return Ok(());
        };
        let before = (appender.beats(newest).await?, appender.end(newest).await?);
        sleep(2 * BEAT_EVERY + POLL).await;
        if (appender.beats(newest).await?, appender.end(newest).await?) == before {
            return Ok(());
        }
        Err(Lost::Copy { key: appender.stream_of(newest) })
    }

    /// The same for an epoch that goes on: a copy of a running database has its ticks as well. A leader that was active on the
    /// stream a moment ago holds its lock in this database, or has ended.
    pub(super) async fn check_last_leader(&mut self, epoch: Epoch) -> Result<(), Lost> {
        let until = Instant::now() + SILENT_LIMIT + POLL;
        while let Some(last) = self.appender.last_leader(epoch).await? {
            let is_gone = last.silent_for >= SILENT_LIMIT;
            if is_gone || last.name == self.known_as || self.leader.is_led_by(&last.name).await? {
                break;
            }
            if Instant::now() >= until {
                return Err(Lost::Copy { key: self.appender.stream_of(epoch) });
            }
            sleep(CHECK_EVERY).await;
        }
        Ok(())
    }
}
