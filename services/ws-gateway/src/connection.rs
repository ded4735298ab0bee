//! One connection, whatever carries it: hears the peer, writes the session's outbox, and does what the session
//! wishes.

mod clock;
pub(crate) mod event_socket;
pub(crate) mod event_stream;
mod questions;
pub(crate) mod web_socket;

use std::{io, time::Duration};

use tokio::time::{Instant, timeout};
use wire::{Close, Position, Subscribe};

use self::{
    clock::{Clock, HEARTBEAT},
    questions::{Answer, Questions, page, since, snapshot, verdict},
};
use crate::{
    config::Patience,
    drain,
    form::Form,
    hub::Feeding,
    mailbox::Leave,
    outbox::Outbox,
    roster::Place,
    routes::App,
    session::{Session, Wish},
};

/// From our last word to the end of the connection.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a peer may have said before it hears that the connection ends. One that floods is not heard out.
const LAST_WORDS: usize = 64;

/// What carries a connection.
pub(crate) trait Peer: Send {
    /// Whether a peer that was told of the end says that it has heard.
    const ANSWERS_CLOSE: bool;

    /// Writes what it takes of the outbox, or, if it `listens`, hears the peer, whichever can be done first. May be
    /// dropped at any time without losing a byte.
    fn exchange(
        &mut self,
        out: &mut Outbox,
        listens: bool,
    ) -> impl Future<Output = io::Result<Happened>> + Send;

    /// Says that nothing follows, where there is a way to say it.
    fn end(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        std::future::ready(Ok(()))
    }
}

/// What an exchange came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    /// The peer took bytes.
    Wrote,
    /// The peer said something that no session needs to know; its answer is in the outbox.
    SignOfLife,
    /// A text message.
    Text(String),
    /// The peer broke a rule; the connection ends with this code.
    Fault(Close),
    /// The peer closed, with its code.
    Closed(Option<u16>),
}

/// Why a connection ended.
enum End {
    /// This side closes it, with a word if the peer can still be told.
    Close(Close, Option<u64>),
    /// The peer closed it.
    Closed(Option<u16>),
    /// The peer is gone.
    Lost(io::Error),
}

impl From<Close> for End {
    fn from(close: Close) -> Self {
        Self::Close(close, None)
    }
}

/// A peer with its session.
pub(crate) struct Connection<P> {
    app: App,
    peer: P,
    place: Place,
    session: Session,
    outbox: Outbox,
    questions: Questions,
    clock: Clock,
    /// What its beginning came to.
    begun: Result<(), End>,
}

impl<P: Peer> Connection<P> {
    /// Begins the session that the client asked for.
    pub(crate) fn begin(
        app: App,
        peer: P,
        place: Place,
        form: Form,
        query: Option<&Subscribe>,
        head: Position,
    ) -> Self {
        let number = place.mailbox.session;
        let mut outbox = Outbox::new(app.backlog.clone());
        let now = Instant::now();
        let (session, wishes) =
            Session::begin(form, number, app.limits.clone(), query, (head, now), &mut outbox);
        let clock = Clock::start(&app.patience, number);
        let questions = Questions::default();
        let mut connection = Self { app, peer, place, session, outbox, questions, clock, begun: Ok(()) };
        connection.begun = connection.grant(wishes);
        connection
    }

    /// Serves it to its end.
    pub(crate) async fn serve(&mut self) {
        let end = match std::mem::replace(&mut self.begun, Ok(())) {
            Ok(()) => self.until_end().await,
            Err(end) => end,
        };
        let session = self.place.mailbox.session;
        // what is published during the last words is for others
        self.app.hub.leave(session);
        let reason = match &end {
            End::Close(close, _) => close.reason(),
            End::Closed(_) => Close::Normal.reason(),
            End::Lost(_) => "lost",
        };
        self.app.metrics.closes.with_label_values(&[reason]).inc();
        let position = self.session.position().map(|position| position.to_string());
        match end {
            End::Close(close, after_ms) => {
                let (code, unsent) = (close.code(), self.outbox.bytes());
                tracing::info!(session, code, reason, position, unsent, "closed");
                self.farewell(close, after_ms).await;
            }
            End::Closed(code) => {
                tracing::debug!(session, code, position, "closed by the peer");
                self.answer_close().await;
            }
            End::Lost(error) => tracing::debug!(session, %error, position, "lost"),
        }
    }

    /// Everything happens here: a closed set of events, each handled in a few lines, until one ends the connection.
    async fn until_end(&mut self) -> End {
        loop {
            self.clock.wind(&self.app.patience, self.session.next_due(&self.outbox));
            // replies wait in the outbox, too: who does not read them is not heard
            let listens = !self.outbox.is_full();
            // in random order, so that no event keeps the others waiting
            let outcome = tokio::select! {
                happened = self.peer.exchange(&mut self.outbox, listens) => self.on_exchange(happened),
                () = self.place.mailbox.arrival() => self.take_mail(),
                answer = self.questions.next() => self.on_answer(answer),
                () = self.clock.alarm.as_mut() => self.on_alarm(),
            };
            if let Err(end) = outcome.and_then(|()| self.go_on()) {
                return end;
            }
        }
    }

    fn on_exchange(&mut self, happened: io::Result<Happened>) -> Result<(), End> {
        let now = Instant::now();
        // while output waits, a peer shows that it lives by taking some of it
        if matches!(happened, Ok(Happened::Wrote)) || self.outbox.is_empty() {
            self.clock.alive_at = now;
        }
        match happened {
            Ok(Happened::Wrote) => Ok(()),
            Ok(Happened::SignOfLife) if self.session.on_control(now) => Ok(()),
            Ok(Happened::SignOfLife) => Err(Close::TooMany.into()),
            Ok(Happened::Text(text)) => {
                let head = self.app.hub.head().unwrap_or_default();
                let wishes = self.session.on_text(&text, (head, now), &mut self.outbox);
                self.grant(wishes)
            }
            Ok(Happened::Fault(close)) => Err(close.into()),
            Ok(Happened::Closed(code)) => Err(End::Closed(code)),
            Err(error) => Err(End::Lost(error)),
        }
    }

    fn take_mail(&mut self) -> Result<(), End> {
        let mail = self.place.mailbox.take();
        let (now, kept_up) = (Instant::now(), !self.session.is_paused());
        for delivery in &mail.deliveries {
            let wishes = self.session.on_delivery(delivery, now, &mut self.outbox);
            self.grant(wishes)?;
        }
        if mail.overflowed {
            self.session.on_overflow();
        }
        if kept_up && self.session.is_paused() {
            self.app.metrics.fell_behind.inc();
        }
        if mail.nudged {
            let stale = self.app.hub.feeding() != Feeding::Current;
            self.session.on_heartbeat(Position::default(), stale, &mut self.outbox);
        }
        match mail.leave {
            Some(Leave { close, after_ms }) => Err(End::Close(close, Some(after_ms))),
            None => Ok(()),
        }
    }

    fn on_answer(&mut self, answer: Answer) -> Result<(), End> {
        let (now, out) = (Instant::now(), &mut self.outbox);
        let wishes = match answer {
            Answer::Verdict(sub, verdict) => self.session.on_verdict(sub, verdict, out),
            Answer::Since(sub, start) => self.session.on_since(sub, start, out),
            Answer::Page(sub, piece) => self.session.on_page(sub, (&piece.batches, piece.covered), now, out),
            Answer::Forgotten(sub) => self.session.on_forgotten(sub),
            Answer::Snapshot(sub, page) => self.session.on_snapshot(sub, &page, out),
            Answer::Failed(sub) => self.session.on_failed(sub, out),
        };
        self.grant(wishes)
    }

    fn on_alarm(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let Patience { ping_every, pong_deadline, .. } = self.app.patience;
        if now >= self.clock.alive_at + ping_every + pong_deadline {
            return Err(Close::NoPong.into());
        }
        if self.clock.old_at.is_some_and(|old_at| now >= old_at) {
            let session = self.place.mailbox.session;
            return Err(End::Close(Close::GoingAway, Some(drain::spread(session))));
        }
        if now >= self.clock.ping_at {
            self.clock.ping_at = now + ping_every;
            self.outbox.push(self.session.ping());
        }
        if now >= self.clock.mark_at {
            self.clock.mark_at = now + HEARTBEAT;
            self.mark()?;
        }
        Ok(())
    }

    /// A gateway that is cut off from its feed says nothing, so that its clients go where others do better.
    fn mark(&mut self) -> Result<(), End> {
        let feeding = self.app.hub.feeding();
        if let Some(head) = self.app.hub.head().filter(|_| feeding != Feeding::Cut) {
            self.take_mail()?;
            self.session.on_heartbeat(head, feeding != Feeding::Current, &mut self.outbox);
        }
        Ok(())
    }

    /// After each event: what waited for room or for its time goes on.
    fn go_on(&mut self) -> Result<(), End> {
        if self.outbox.is_beyond_bounds() {
            return Err(Close::Overloaded.into());
        }
        let now = Instant::now();
        let due = self.session.next_due(&self.outbox).is_some_and(|due| due <= now);
        if due || (self.session.is_paused() && self.outbox.has_room()) {
            let wishes = self.session.on_moment(now, &mut self.outbox);
            self.grant(wishes)?;
        }
        Ok(())
    }

    fn grant(&mut self, wishes: Vec<Wish>) -> Result<(), End> {
        let mut wishes = std::collections::VecDeque::from(wishes);
        while let Some(wish) = wishes.pop_front() {
            match wish {
                Wish::Attach { sub, filter, after } => {
                    let attach = self.app.hub.attach(&self.place.mailbox, sub, &filter, after);
                    let now = Instant::now();
                    wishes.extend(self.session.on_attach(sub, attach, now, &mut self.outbox));
                    // a feed's change nudges only who is there when it comes
                    if self.app.hub.feeding() != Feeding::Current {
                        self.place.mailbox.nudge();
                    }
                }
                Wish::Detach { sub } => {
                    self.app.hub.detach(self.place.mailbox.session, sub);
                    self.questions.forget(sub);
                }
                Wish::Close(close) => return Err(close.into()),
                Wish::Verdict { sub, from, first } => {
                    self.ask(sub, verdict(self.app.clone(), sub, from, first))
                }
                Wish::Since { sub, last } => self.ask(sub, since(self.app.clone(), sub, last)),
                Wish::Read { sub, after } => self.ask(sub, page(self.app.clone(), sub, after)),
                Wish::Snapshot { sub, filter, at, after } => {
                    self.ask(sub, snapshot(self.app.clone(), sub, filter, at, after));
                }
            }
        }
        Ok(())
    }

    fn ask(&mut self, sub: u32, question: impl Future<Output = Answer> + Send + 'static) {
        self.questions.ask(sub, Box::pin(question));
    }

    /// Says why, writes what is left, and waits a moment for the peer's own close.
    async fn farewell(&mut self, close: Close, after_ms: Option<u64>) {
        if self.outbox.is_full() {
            // a peer that did not take what waits will not take this either
            return;
        }
        self.session.on_close(close, after_ms, &mut self.outbox);
        let said = async {
            let mut heard = 0;
            while (P::ANSWERS_CLOSE || !self.outbox.is_empty()) && heard < LAST_WORDS {
                match self.peer.exchange(&mut self.outbox, true).await? {
                    Happened::Closed(_) => break,
                    Happened::Wrote => {}
                    Happened::SignOfLife | Happened::Text(_) | Happened::Fault(_) => heard += 1,
                }
            }
            self.peer.end().await
        };
        // a peer that is gone needs no goodbye
        let _ = timeout(FAREWELL, said).await;
    }

    /// Writes the answer to the peer's close, where it takes one.
    async fn answer_close(&mut self) {
        let answered = async {
            while P::ANSWERS_CLOSE && !self.outbox.is_empty() {
                self.peer.exchange(&mut self.outbox, true).await?;
            }
            io::Result::Ok(())
        };
        // the peer has said that it goes
        let _ = timeout(FAREWELL, answered).await;
    }
}

#[cfg(test)]
mod tests;
