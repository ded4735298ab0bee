//! What a client's position is worth: whether the log still reaches back to it, on the history that it was made on.

use wire::{
    Epoch, Position, Tick,
    frame::{Gap, GapReason},
};

use crate::{Database, Error, Head, Result, connect::timely, log::head, session::Session};

/// Where a client's position leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// The log reaches back to it; read on from here.
    From(Position),
    /// What lies between cannot be had; read on from `to`.
    Gap(Gap),
    /// It names a place that does not exist yet.
    Ahead,
}

/// The epochs and the log's end: what a position is worth follows from them alone.
#[derive(Debug, Clone)]
pub struct Chronicle {
    head: Head,
    /// Epoch, first tick and system identifier, ascending.
    epochs: Vec<(i64, i64, i64)>,
}

impl Chronicle {
    /// Where a client's position leads.
    pub fn judge(&self, from: Position) -> Resume {
        let head = self.head;
        let gap = |to, reason| Resume::Gap(Gap { from, to, reason });
        if from.epoch > head.epoch {
            return Resume::Ahead;
        }
        let epochs = &self.epochs[self.epochs.partition_point(|own| own.0 < from.epoch.0)..];
        if epochs.first().is_none_or(|own| own.0 != from.epoch.0) {
            return gap(Position::after_tick(head.epoch, head.first_tick), GapReason::Epoch);
        }
        for pair in epochs.windows(2) {
            let ((_, _, system), (epoch, first_tick, next_system)) = (pair[0], pair[1]);
            // a promotion keeps the ticks before its first one; anything else keeps none
            if system != next_system || from.tick >= Tick(first_tick) {
                return gap(Position::after_tick(Epoch(epoch), Tick(first_tick)), GapReason::Epoch);
            }
        }
        if from.tick > head.last_tick {
            return Resume::Ahead;
        }
        let base = if from.ends_tick() { from.tick } else { Tick(from.tick.0 - 1) };
        if base < head.horizon {
            return gap(Position::after_tick(head.epoch, head.horizon), GapReason::Retention);
        }
        Resume::From(from)
    }
}

impl Database {
    /// What positions are judged by.
    pub async fn chronicle(&self) -> Result<Chronicle> {
        let mut lent = self.lend().await?;
        let read = timely(lent.limit(), chronicle(lent.session())).await?;
        lent.after(read).await
    }
}

async fn chronicle(session: &mut Session) -> Result<Chronicle> {
    let query = "select epoch, first_tick, system_identifier from rowcast.epoch order by epoch";
    let epochs = session.all(sqlx::query_as(query)).await?;
    // the head after the epochs: of an epoch that began in between, nothing is judged
    let head = head(session).await?.ok_or(Error(sqlx::Error::RowNotFound))?;
    Ok(Chronicle { head, epochs })
}
