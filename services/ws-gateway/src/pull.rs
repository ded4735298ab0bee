//! What came after a position, collected up to a bound, and waited for where there is nothing.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use store::ReadError;
use tokio::time::{Instant, sleep, timeout_at};
use wire::{Filter, Position, Resume, frame::Gap};

use crate::{
    batch::Batch,
    hub::{Attach, Feeding},
    mailbox::{Mailbox, Rows},
    routes::App,
};

/// An answer is closed when it has so many bytes.
const MAX_BYTES: usize = 4 << 20;

/// Reading through a log in which little matches is stopped after so long; the answer says where to go on.
const MAX_SCAN: Duration = Duration::from_secs(5);

/// Before another look at a log that the hub has not caught up with.
const RETRY: Duration = Duration::from_millis(50);

/// The number of its one subscription in the hub.
const SUB: u32 = 0;

/// One pull.
pub(crate) struct Pull<'a> {
    pub(crate) app: &'a App,
    pub(crate) mailbox: &'a Arc<Mailbox>,
    pub(crate) filter: Filter,
    pub(crate) limit: usize,
}

/// What a pull found.
pub(crate) struct Pulled {
    lines: Vec<u8>,
    count: usize,
    next: Position,
    more: bool,
}

/// Why a pull found nothing to say.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The position does not exist yet.
    Ahead,
    /// Others read, and no turn came.
    Busy,
    /// The log could not be read.
    Log(store::Error),
}

/// How a wait ended.
enum Listened {
    /// There is something to say, or the gateway stops and says what it has.
    Enough,
    /// The hub cannot attach here, or has let go: the log is to be read on.
    Interrupted,
}

impl Pulled {
    /// Nothing, up to a position.
    pub(crate) fn nothing(next: Position) -> Self {
        Self { lines: Vec::new(), count: 0, next, more: false }
    }

    /// A line for each reading, and last where to go on.
    pub(crate) fn into_lines(mut self) -> Vec<u8> {
        let end = format!("{{\"next\":\"{}\",\"more\":{}}}\n", self.next, self.more);
        self.lines.extend_from_slice(end.as_bytes());
        self.lines
    }

    fn gap(&mut self, gap: Gap) {
        self.lines.extend_from_slice(format!("{}\n", json!({ "gap": gap })).as_bytes());
        self.next = gap.to;
    }
}

impl Pull<'_> {
    /// What came after `since`; if that is nothing, what comes first within `wait`.
    pub(crate) async fn after(&self, since: Position, wait: Duration) -> Result<Pulled, Failed> {
        let began = Instant::now();
        let mut pulled = Pulled::nothing(since);
        self.judge(&mut pulled).await?;
        loop {
            let reading = self.app.replay.reading().await.ok_or(Failed::Busy)?;
            self.read_on(&mut pulled, began + MAX_SCAN).await?;
            drop(reading);
            // a gateway that stops says what it has
            let over = Instant::now() >= began + wait || self.app.life.is_stopping();
            if pulled.count > 0 || pulled.more || over {
                return Ok(pulled);
            }
            let stopping = self.app.life.stopping();
            let listened = tokio::select! {
                listened = timeout_at(began + wait, self.listen(&mut pulled)) => listened.ok(),
                () = stopping => None,
            };
            self.app.hub.leave(self.mailbox.session);
            match listened {
                Some(Listened::Interrupted) => sleep(RETRY).await,
                // a wait that is over has brought nothing, and everything up to the head was taken before
                Some(Listened::Enough) | None => return Ok(pulled),
            }
        }
    }

    async fn judge(&self, pulled: &mut Pulled) -> Result<(), Failed> {
        match self.app.replay.verdict(pulled.next).await.map_err(Failed::Log)? {
            Resume::From(from) => pulled.next = from,
            Resume::Gap(gap) => pulled.gap(gap),
            Resume::Ahead => return Err(Failed::Ahead),
        }
        Ok(())
    }

    /// Reads to the end of the log, to the limit, or to the time.
    async fn read_on(&self, pulled: &mut Pulled, until: Instant) -> Result<(), Failed> {
        loop {
            let piece = match self.app.replay.read(pulled.next).await {
                Ok(piece) => piece,
                Err(ReadError::Forgotten(_)) => {
                    self.app.replay.doubt().await;
                    match self.judge(pulled).await {
                        // it was good when it was asked for: the log will get there
                        Err(Failed::Ahead) => return Ok(()),
                        judged => judged?,
                    }
                    continue;
                }
                Err(ReadError::Database(error)) => return Err(Failed::Log(error)),
            };
            if piece.covered <= pulled.next {
                return Ok(());
            }
            for batch in piece.batches.iter() {
                if !self.take(pulled, batch, &Rows::All) {
                    return Ok(());
                }
            }
            pulled.next = pulled.next.max(piece.covered);
            if Instant::now() >= until {
                pulled.more = true;
                return Ok(());
            }
        }
    }

    /// Waits for something that matches.
    async fn listen(&self, pulled: &mut Pulled) -> Listened {
        // what an earlier wait left behind
        self.mailbox.take();
        let filter = Arc::new(self.filter.clone());
        let attach = self.app.hub.attach(self.mailbox, SUB, &filter, Some(pulled.next));
        let Attach::Live { head, missing } = attach else { return Listened::Interrupted };
        let took_all = missing.iter().all(|batch| self.take(pulled, batch, &Rows::All));
        if took_all {
            pulled.next = pulled.next.max(head);
        }
        while pulled.count == 0 && !pulled.more {
            self.mailbox.arrival().await;
            let head = self.app.hub.head();
            let mail = self.mailbox.take();
            for delivery in &mail.deliveries {
                if !self.take(pulled, &delivery.batch, &delivery.rows) {
                    return Listened::Enough;
                }
            }
            if mail.leave.is_some() {
                return Listened::Enough;
            }
            if mail.overflowed || self.app.hub.feeding() == Feeding::Cut {
                return Listened::Interrupted;
            }
            pulled.next = pulled.next.max(head.unwrap_or_default());
        }
        Listened::Enough
    }

    /// Adds what matches; false when no more fits.
    fn take(&self, pulled: &mut Pulled, batch: &Batch, rows: &Rows) -> bool {
        let first = batch.first_after(pulled.next);
        for row in first..batch.count() {
            let (sensor, pos, _) = batch.row(row);
            let chosen = match rows {
                Rows::All => self.filter.matches(sensor),
                Rows::Some(rows) => rows.contains(&(row as u32)),
            };
            if !chosen {
                continue;
            }
            if pulled.count == self.limit || pulled.lines.len() >= MAX_BYTES {
                pulled.more = true;
                return false;
            }
            pulled.lines.push(b'{');
            pulled.lines.extend_from_slice(&batch.events().one(row));
            pulled.lines.push(b'\n');
            (pulled.count, pulled.next) = (pulled.count + 1, pos);
        }
        pulled.next = pulled.next.max(batch.end);
        true
    }
}
