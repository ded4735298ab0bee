//! Whether another installation writes the stream: that of the database which this one is a physical copy of.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use wire::Epoch;

use super::{BEAT_EVERY, Hands, Lost};
use crate::planner::POLL;

/// A leader is heard at least so often: by a beat at each poll, or by what it appends.
const HEARD_EVERY: Duration = Duration::from_millis(1_900);

/// Between two looks at one that may have ended.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Hands<'_> {
    /// An epoch's first append or beat tells those of the epoch before to stop. Where that one's leader is still at work, this
    /// database is a copy of its, and must not.
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

    /// The same where the epoch is one that goes on: a copy of a running database has its ticks as well. Whoever was at work on
    /// the stream a moment ago leads in this database, too, or has ended.
    pub(super) async fn check_last_leader(&mut self, epoch: Epoch) -> Result<(), Lost> {
        let until = Instant::now() + HEARD_EVERY + POLL;
        while let Some(last) = self.appender.last_leader(epoch).await? {
            let is_gone = last.silent_for >= HEARD_EVERY;
            if is_gone || last.name == self.known_as || self.leader.knows(&last.name).await? {
                break;
            }
            if Instant::now() >= until {
                return Err(Lost::Copy { key: self.appender.stream_of(epoch) });
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}
