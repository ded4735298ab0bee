//! One connection, whatever carries it: reads from the peer, writes the session's outbox, and applies the session's
//! effects.

mod behind;
mod clock;
pub(crate) mod event_socket;
pub(crate) mod event_stream;
mod identity;
mod peer;
pub(crate) mod pull;
mod questions;
pub(crate) mod web_socket;

use std::{io, time::Duration};

use access::Caller;
use tokio::time::{Instant, timeout};
use wire::{Close, Position, Resume, Subscribe};

use self::{
    behind::Behind,
    clock::{Clock, HEARTBEAT},
    peer::{Peer, PeerEvent},
    questions::{Answer, Questions, identify, page, resolve, since, snapshot},
};
use crate::{
    admission::{roster::ConnectionPermit, subjects::SubjectPermit},
    config::Timers,
    encode::Protocol,
    fanout::{hub::FeedState, mailbox::Leave},
    gateway::{Admitted, App},
    jitter::spread,
    metrics::{Ended, Reason},
    outbox::Outbox,
    session::{Opening, Session, effect::Effect},
};

/// From the close of this side to the end of the connection.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// What a peer may have sent before it reads the close. One that floods is cut off.
const EVENTS_WHILE_CLOSING: usize = 64;

/// Why a connection ended.
enum End {
    /// This side closes it, and may say after how many milliseconds to come back.
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
    permit: ConnectionPermit,
    /// That of the client's subject, where it is bounded.
    subject: Option<SubjectPermit>,
    session: Session,
    outbox: Outbox,
    questions: Questions,
    clock: Clock,
    behind: Behind,
    /// Who the client is; none: it has yet to say.
    caller: Option<Caller>,
    /// Whether the first effects ended it already.
    begun: Result<(), End>,
}

impl<P: Peer> Connection<P> {
    /// Begins the session that the client asked for.
    pub(crate) fn begin(
        app: App,
        peer: P,
        Admitted { permit, subject, head }: Admitted,
        caller: Option<Caller>,
        (protocol, query): (Protocol, Option<&Subscribe>),
    ) -> Self {
        let number = permit.mailbox.session;
        let mut outbox = Outbox::new(app.backlog.clone());
        let grant = caller.as_ref().map(|caller| caller.grant.clone());
        let (limits, asks) = (app.limits.clone(), !app.gate.is_open());
        let share = caller.as_ref().and_then(|caller| app.share(caller, subject.as_ref()));
        let opening = Opening { protocol, number, limits, asks, grant, share, query };
        let (session, effects) = Session::begin(opening, (head, Instant::now()), &mut outbox);
        let clock = Clock::start(&app.timers, number);
        let questions = Questions::default();
        let behind = Behind::new(app.metrics.behind_sessions.clone());
        let mut connection = Self {
            app,
            peer,
            permit,
            subject,
            session,
            outbox,
            questions,
            clock,
            behind,
            caller,
            begun: Ok(()),
        };
        connection.note_end();
        if asks {
            // what was revoked before this connection was in the roster was told to the others alone
            connection.permit.mailbox.recheck();
        }
        connection.begun = connection.apply(effects);
        connection
    }

    /// Serves it to its end.
    pub(crate) async fn serve(&mut self) {
        let end = match std::mem::replace(&mut self.begun, Ok(())) {
            Ok(()) => self.until_end().await,
            Err(end) => end,
        };
        let session = self.permit.mailbox.session;
        // nothing is delivered any more while it closes
        self.app.hub.leave(session);
        let ended = Ended(match &end {
            End::Close(close, _) => Some(*close),
            End::Closed(_) => Some(Close::Normal),
            End::Lost(_) => None,
        });
        self.app.metrics.closes.of(ended).inc();
        let position = self.session.position().map(|position| position.to_string());
        match end {
            End::Close(close, after_ms) => {
                let (code, reason, unsent) = (close.code(), close.reason(), self.outbox.bytes());
                let subject = self.subject();
                tracing::info!(session, code, reason, position, unsent, subject, "closed");
                self.close(close, after_ms).await;
            }
            End::Closed(code) => {
                tracing::debug!(session, code, position, "closed by the peer");
                self.answer_close().await;
            }
            End::Lost(error) => tracing::debug!(session, %error, position, "lost"),
        }
    }

    /// Handles one event after the other until one ends the connection.
    async fn until_end(&mut self) -> End {
        loop {
            self.clock.set_alarm(&self.app.timers, self.session.next_due(&self.outbox));
            // replies wait in the outbox, too: a client that does not read them is not read from
            let listens = !self.outbox.is_full() && !self.session.is_identifying();
            // in random order, so that no source of events starves the others
            let outcome = tokio::select! {
                event = self.peer.exchange(&mut self.outbox, listens) => self.on_exchange(event),
                () = self.permit.mailbox.arrival() => self.take_mail(),
                answer = self.questions.next() => self.on_answer(answer),
                () = self.clock.alarm.as_mut() => self.on_alarm(),
            };
            if let Err(end) = outcome.and_then(|()| self.go_on()) {
                return end;
            }
        }
    }

    fn on_exchange(&mut self, event: io::Result<PeerEvent>) -> Result<(), End> {
        let now = Instant::now();
        self.count_written();
        // while output waits, a peer is alive only if it takes some of it
        if matches!(event, Ok(PeerEvent::Wrote)) || self.outbox.is_empty() {
            self.clock.alive_at = now;
        }
        match event {
            Ok(PeerEvent::Wrote) => Ok(()),
            Ok(PeerEvent::Control) if self.session.on_control(now) => Ok(()),
            Ok(PeerEvent::Control) => Err(Close::TooMany.into()),
            Ok(PeerEvent::Text(text)) => {
                let head = self.app.hub.head().unwrap_or_default();
                let effects = self.session.on_text(&text, (head, now), &mut self.outbox);
                self.apply(effects)
            }
            Ok(PeerEvent::Fault(close)) => Err(close.into()),
            Ok(PeerEvent::Closed(code)) => Err(End::Closed(code)),
            Err(error) => Err(End::Lost(error)),
        }
    }

    /// Counts the events that the peer has taken whole.
    fn count_written(&mut self) {
        let Some(first) = self.outbox.next_written() else { return };
        let now = self.app.shared_clock.now_micros();
        let rest = std::iter::from_fn(|| self.outbox.next_written());
        for events in std::iter::once(first).chain(rest) {
            self.app.metrics.count_written(&events, now, &self.app.shared_clock);
            if let Some(trace) = &events.trace {
                let session = i64::try_from(self.permit.mailbox.session).unwrap_or(i64::MAX);
                trace.event("written", vec![("rowcast.session", session.into())]);
            }
        }
    }

    fn take_mail(&mut self) -> Result<(), End> {
        let mail = self.permit.mailbox.take();
        if mail.recheck {
            // a narrower filter passes over what the mail has of sensors that are not permitted any more
            self.recheck()?;
        }
        let (now, kept_up) = (Instant::now(), !self.session.is_paused());
        for delivery in &mail.deliveries {
            let effects = self.session.on_delivery(delivery, now, &mut self.outbox);
            self.apply(effects)?;
        }
        if mail.overflowed {
            self.session.on_overflow();
        }
        if kept_up && self.session.is_paused() {
            self.app.metrics.fell_behind.inc();
        }
        if mail.nudged {
            let stale = self.app.hub.feed_state() != FeedState::Current;
            self.session.on_heartbeat(Position::default(), stale, &mut self.outbox);
        }
        match mail.leave {
            Some(Leave { close, after_ms }) => Err(End::Close(close, Some(after_ms))),
            None => Ok(()),
        }
    }

    fn on_answer(&mut self, answer: Answer) -> Result<(), End> {
        let (now, out) = (Instant::now(), &mut self.outbox);
        if let Answer::Resolve(_, Resume::Gap(gap)) = &answer {
            self.app.metrics.gaps_told.of(Reason(gap.reason)).inc();
        }
        let effects = match answer {
            Answer::Resolve(sub, resume) => self.session.on_resolve(sub, resume, out),
            Answer::Since(sub, start) => self.session.on_since(sub, start, out),
            Answer::Page(sub, page) => self.session.on_page(sub, (&page.batches, page.covered), now, out),
            Answer::Forgotten(sub) => self.session.on_forgotten(sub),
            Answer::Snapshot(sub, page) => self.session.on_snapshot(sub, &page, out),
            Answer::Failed(sub) => self.session.on_failed(sub, out),
            Answer::Identified(identified) => return self.on_identified(identified),
        };
        self.apply(effects)
    }

    fn on_alarm(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let Timers { ping_every, pong_deadline, .. } = self.app.timers;
        if now >= self.clock.alive_at + ping_every + pong_deadline {
            return Err(Close::NoPong.into());
        }
        if self.clock.old_at.is_some_and(|old_at| now >= old_at) {
            let session = self.permit.mailbox.session;
            return Err(End::Close(Close::GoingAway, Some(spread(session))));
        }
        self.on_end_of_token(now)?;
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

    /// A gateway that alone is cut off from the stream sends no marks, so that its clients move to another.
    fn mark(&mut self) -> Result<(), End> {
        let feeding = self.app.hub.feed_state();
        if let Some(head) = self.app.hub.head().filter(|_| feeding != FeedState::Cut) {
            self.take_mail()?;
            self.session.on_heartbeat(head, feeding != FeedState::Current, &mut self.outbox);
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
            let effects = self.session.on_moment(now, &mut self.outbox);
            self.apply(effects)?;
        }
        self.behind.set(self.session.is_behind());
        Ok(())
    }

    fn apply(&mut self, effects: Vec<Effect>) -> Result<(), End> {
        let mut effects = std::collections::VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Attach { sub, filter, after } => {
                    let attach = self.app.hub.attach(&self.permit.mailbox, sub, &filter, after);
                    let now = Instant::now();
                    effects.extend(self.session.on_attach(sub, attach, now, &mut self.outbox));
                    // a change of the feed's state reaches only those who are attached when it comes
                    if self.app.hub.feed_state() != FeedState::Current {
                        self.permit.mailbox.nudge();
                    }
                }
                Effect::Detach { sub } => {
                    self.app.hub.detach(self.permit.mailbox.session, sub);
                    self.questions.forget(sub);
                }
                Effect::Close(close) => return Err(close.into()),
                Effect::Resolve { sub, from, first } => {
                    self.ask(sub, resolve(self.app.clone(), sub, from, first))
                }
                Effect::Since { sub, last } => self.ask(sub, since(self.app.clone(), sub, last)),
                Effect::Read { sub, after } => self.ask(sub, page(self.app.clone(), sub, after)),
                Effect::Identify { token } => {
                    self.questions.ask_first(Box::pin(identify(self.app.clone(), token)));
                }
                Effect::Snapshot { sub, filter, at, after } => {
                    self.ask(sub, snapshot(self.app.clone(), sub, filter, at, after));
                }
            }
        }
        Ok(())
    }

    fn ask(&mut self, sub: u32, question: impl Future<Output = Answer> + Send + 'static) {
        self.questions.ask(sub, Box::pin(question));
    }

    /// Writes the close behind what is left, and waits a moment for the peer's own.
    async fn close(&mut self, close: Close, after_ms: Option<u64>) {
        if self.outbox.is_full() {
            // a peer that did not take what waits will not take a close
            return;
        }
        self.session.on_close(close, after_ms, &mut self.outbox);
        let closed = async {
            let mut events = 0;
            while (P::ANSWERS_CLOSE || !self.outbox.is_empty()) && events < EVENTS_WHILE_CLOSING {
                let event = self.peer.exchange(&mut self.outbox, true).await?;
                self.count_written();
                match event {
                    PeerEvent::Closed(_) => break,
                    PeerEvent::Wrote => {}
                    PeerEvent::Control | PeerEvent::Text(_) | PeerEvent::Fault(_) => events += 1,
                }
            }
            self.peer.end().await
        };
        // a peer that is gone needs no close
        let _ = timeout(CLOSE_WITHIN, closed).await;
    }

    /// Writes the answer to the peer's close, where it takes one.
    async fn answer_close(&mut self) {
        let answered = async {
            if !P::ANSWERS_CLOSE {
                return Ok(());
            }
            while !self.outbox.is_empty() {
                self.peer.exchange(&mut self.outbox, true).await?;
            }
            self.peer.end().await
        };
        // the peer closes anyway
        let _ = timeout(CLOSE_WITHIN, answered).await;
    }
}

#[cfg(test)]
mod tests;
