//! What came after a position, collected up to a bound, and waited for where there is nothing.

use std::{sync::Arc, time::Duration};

use store::ReadError;
use tokio::time::{Instant, sleep, timeout_at};
use wire::{Filter, Position, Resume, frame::Gap};

use crate::{
    encode::lines,
    fanout::{
        batch::Batch,
        hub::{Attach, FeedState},
        mailbox::Mailbox,
        selection::Selection,
    },
    gateway::App,
    metrics::Reason,
};

/// An answer is closed when it has so many bytes.
const MAX_BYTES: usize = 4 << 20;

/// Reading through a log in which little matches is stopped after so long; the answer says where to go on.
const MAX_SCAN: Duration = Duration::from_secs(5);

/// Before another read of a log that the hub has not caught up with.
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

/// Why a pull has no answer.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The position does not exist yet.
    Ahead,
    /// Too many pulls read, and no permit came in time.
    Busy,
    /// The log could not be read.
    Log(store::Error),
}

/// How a wait ended.
enum Waited {
    /// There is something to answer, or the gateway stops.
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
        lines::write_end(self.next, self.more, &mut self.lines);
        self.lines
    }

    fn gap(&mut self, gap: Gap) {
        lines::write_gap(gap, &mut self.lines);
        self.next = gap.to;
    }
}

impl Pull<'_> {
    /// What came after `since`; if that is nothing, what comes first within `wait`.
    pub(crate) async fn after(&self, since: Position, wait: Duration) -> Result<Pulled, Failed> {
        let began = Instant::now();
        let mut pulled = Pulled::nothing(since);
        self.resolve(&mut pulled).await?;
        loop {
            let permit = self.app.replay.permit().await.ok_or(Failed::Busy)?;
            self.read_on(&mut pulled, began + MAX_SCAN).await?;
            drop(permit);
            // a gateway that stops answers with what it has
            let over = Instant::now() >= began + wait || self.app.life.is_stopping();
            if pulled.count > 0 || pulled.more || over {
                return Ok(pulled);
            }
            let stopping = self.app.life.stopping();
            let waited = tokio::select! {
                waited = timeout_at(began + wait, self.await_first(&mut pulled)) => waited.ok(),
                () = stopping => None,
            };
            self.app.hub.leave(self.mailbox.session);
            match waited {
                Some(Waited::Interrupted) => sleep(RETRY).await,
                // a wait that is over has brought nothing, and everything up to the head was taken before
                Some(Waited::Enough) | None => return Ok(pulled),
            }
        }
    }

    async fn resolve(&self, pulled: &mut Pulled) -> Result<(), Failed> {
        match self.app.replay.resolve(pulled.next).await.map_err(Failed::Log)? {
            Resume::From(from) => pulled.next = from,
            Resume::Gap(gap) => {
                self.app.metrics.gaps_told.of(Reason(gap.reason)).inc();
                pulled.gap(gap);
            }
            Resume::Ahead => return Err(Failed::Ahead),
        }
        Ok(())
    }

    /// Reads to the end of the log, to the limit, or to the time.
    async fn read_on(&self, pulled: &mut Pulled, until: Instant) -> Result<(), Failed> {
        loop {
            let page = match self.app.replay.read(pulled.next).await {
                Ok(page) => page,
                Err(ReadError::Forgotten(_)) => {
                    self.app.replay.forget_extent().await;
                    match self.resolve(pulled).await {
                        // the position was valid before: the log will reach it
                        Err(Failed::Ahead) => return Ok(()),
                        resolved => resolved?,
                    }
                    continue;
                }
                Err(ReadError::Database(error)) => return Err(Failed::Log(error)),
            };
            if page.covered <= pulled.next {
                return Ok(());
            }
            for batch in page.batches.iter() {
                if !self.take(pulled, batch, &Selection::All) {
                    return Ok(());
                }
            }
            pulled.next = pulled.next.max(page.covered);
            if Instant::now() >= until {
                pulled.more = true;
                return Ok(());
            }
        }
    }

    /// Waits for something that matches.
    async fn await_first(&self, pulled: &mut Pulled) -> Waited {
        // what an earlier wait left behind
        self.mailbox.take();
        let filter = Arc::new(self.filter.clone());
        let attach = self.app.hub.attach(self.mailbox, SUB, &filter, Some(pulled.next));
        let Attach::Live { head, missing } = attach else { return Waited::Interrupted };
        let took_all = missing.iter().all(|batch| self.take(pulled, batch, &Selection::All));
        if took_all {
            pulled.next = pulled.next.max(head);
        }
        while pulled.count == 0 && !pulled.more {
            self.mailbox.arrival().await;
            let head = self.app.hub.head();
            let mail = self.mailbox.take();
            for delivery in &mail.deliveries {
                if !self.take(pulled, &delivery.batch, &delivery.selection) {
                    return Waited::Enough;
                }
            }
            if mail.leave.is_some() || mail.recheck {
                return Waited::Enough;
            }
            if mail.overflowed || self.app.hub.feed_state() == FeedState::Cut {
                return Waited::Interrupted;
            }
            pulled.next = pulled.next.max(head.unwrap_or_default());
        }
        Waited::Enough
    }

    /// Adds what matches; false when no more fits.
    fn take(&self, pulled: &mut Pulled, batch: &Batch, selection: &Selection) -> bool {
        let first = batch.first_after(pulled.next);
        for row in first..batch.count() {
            let (sensor, pos, _) = batch.row(row);
            let chosen = match selection {
                Selection::All => self.filter.matches(sensor),
                Selection::Each => true,
                Selection::These(rows) => rows.contains(&(row as u32)),
            };
            if !chosen {
                continue;
            }
            if pulled.count == self.limit || pulled.lines.len() >= MAX_BYTES {
                pulled.more = true;
                return false;
            }
            lines::write_reading(batch.frames(), row, &mut pulled.lines);
            (pulled.count, pulled.next) = (pulled.count + 1, pos);
        }
        pulled.next = pulled.next.max(batch.end);
        true
    }
}
