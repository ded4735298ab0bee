//! One connection as a pure state machine: what the client says and what the hub brings go in, frames and wishes
//! come out. No socket, no lock; the time is told.

mod allowance;
mod latest;
mod subscription;
mod wish;

use std::sync::Arc;

use tokio::time::Instant;
use wire::{
    Close, Command, Empty, ErrorCode, Filter, Mode, Position, Refusal, Resume, ServerMessage, Start,
    Subscribe, Verb,
    frame::{Attached, Hello, Limits},
};

pub use self::wish::{SnapshotPage, Wish};
use self::{
    allowance::Allowance,
    latest::{Held, Latest},
    subscription::{State, Subscription},
};
use crate::{
    batch::{Batch, FIRST_SUB},
    form::Form,
    hub::Attach,
    kept::Room,
    mailbox::{Delivery, Rows},
    outbox::Outbox,
};

/// The longest silence on a live subscription, in milliseconds.
pub const IDLE_MS: u64 = 15_000;

/// The number of a demo connection's one subscription, which no frame shows.
const DEMO_SUB: u32 = 0;

/// A connection's state.
#[derive(Debug)]
pub struct Session {
    form: Form,
    /// Names the connection in logs.
    number: u64,
    limits: Arc<Limits>,
    allowance: Allowance,
    subscriptions: Vec<Subscription>,
    next_sub: u32,
}

impl Session {
    /// Begins a connection: a demo client is subscribed to everything from now; v1 begins with `hello`; a query is
    /// its first subscription.
    pub fn begin(
        form: Form,
        number: u64,
        limits: Arc<Limits>,
        query: Option<&Subscribe>,
        (head, now): (Position, Instant),
        out: &mut Outbox,
    ) -> (Self, Vec<Wish>) {
        let allowance = Allowance::new(limits.commands_per_s, now);
        let mut session =
            Self { form, number, limits, allowance, subscriptions: Vec::new(), next_sub: FIRST_SUB };
        form.begin(number, out);
        if form == Form::Demo {
            let own = Subscription::demo(DEMO_SUB);
            let wish = Wish::Attach { sub: DEMO_SUB, filter: own.filter.clone(), after: None };
            session.subscriptions.push(own);
            return (session, vec![wish]);
        }
        session.hello(head, out);
        let wishes = query.map(|query| session.subscribe(None, query, out)).unwrap_or_default();
        (session, wishes)
    }

    fn hello(&self, head: Position, out: &mut Outbox) {
        let session = format!("{:x}", self.number);
        let hello = Hello { v: 1, session, pos: head, idle_ms: IDLE_MS, limits: *self.limits };
        self.form.say(&ServerMessage { hello: Some(hello), ..ServerMessage::default() }, out);
    }

    /// A text message of the client.
    pub fn on_text(&mut self, text: &str, (head, now): (Position, Instant), out: &mut Outbox) -> Vec<Wish> {
        let commands = Command::parse_frame(text);
        let mut wishes = Vec::new();
        if !self.allowance.take(commands.as_ref().map_or(1, Vec::len), now) {
            return vec![Wish::Close(Close::TooMany)];
        }
        if self.form == Form::Demo {
            // what an old client says is dropped, unless it turns out to speak v1
            let Ok(commands) = &commands else { return wishes };
            if !commands.first().is_some_and(Command::is_v1) {
                return wishes;
            }
            self.form = Form::V1;
            self.subscriptions.clear();
            wishes.push(Wish::Detach { sub: DEMO_SUB });
            self.hello(head, out);
        }
        match commands {
            Ok(commands) => {
                for command in commands {
                    wishes.extend(self.on_command(command, out));
                }
            }
            Err(_) => wishes.push(Wish::Close(Close::BadMessage)),
        }
        wishes
    }

    /// A control frame of the client; false when these are more than it may send.
    pub fn on_control(&mut self, now: Instant) -> bool {
        self.allowance.take(1, now)
    }

    fn on_command(&mut self, command: Command, out: &mut Outbox) -> Vec<Wish> {
        let id = command.id;
        let refusal = match command.verb {
            Verb::Subscribe(subscribe) => return self.subscribe(id, &subscribe, out),
            Verb::Unsubscribe(sub) => match self.find(sub) {
                Some(at) => {
                    self.subscriptions.remove(at);
                    let ok = Attached { sub, ..Attached::default() };
                    self.form.say(&ServerMessage { id, ok: Some(ok), ..ServerMessage::default() }, out);
                    return vec![Wish::Detach { sub }];
                }
                None => Refusal::new(
                    ErrorCode::UnknownSubscription,
                    format!("there is no subscription {sub} on this connection"),
                ),
            },
            Verb::Ping => {
                self.form.say(&ServerMessage { id, pong: Some(Empty {}), ..ServerMessage::default() }, out);
                return Vec::new();
            }
            Verb::Auth(_) => Refusal::new(ErrorCode::AuthNotAsked, "this gateway asks nobody who they are"),
            Verb::Unknown(verb) => Refusal::new(ErrorCode::UnknownVerb, format!("there is no verb {verb:?}")),
            Verb::Malformed(refusal) => refusal,
        };
        self.refuse(id, refusal, out);
        Vec::new()
    }

    fn refuse(&self, id: Option<u64>, refusal: Refusal, out: &mut Outbox) {
        self.form.say(&ServerMessage { id, error: Some(refusal.into()), ..ServerMessage::default() }, out);
    }

    fn subscribe(&mut self, id: Option<u64>, asked: &Subscribe, out: &mut Outbox) -> Vec<Wish> {
        let (filter, room) = match self.check(asked, out) {
            Ok((filter, room)) => (Arc::new(filter), room),
            // an event stream is its one subscription
            Err(_) if self.form == Form::Sse => return vec![Wish::Close(Close::Overloaded)],
            Err(refusal) => {
                self.refuse(id, refusal, out);
                return Vec::new();
            }
        };
        let sub = self.next_sub;
        self.next_sub += 1;
        let latest = (asked.mode == Mode::Latest).then(|| Latest::new(asked.max_rate, self.held(out)));
        let mut own = Subscription::new(sub, self.form, filter.clone(), id, latest);
        own.room = Some(room);
        let wish = match asked.from {
            Start::Now => Wish::Attach { sub, filter, after: None },
            Start::After(from) => {
                (own.sent, own.state) = (from, State::Judged);
                Wish::Verdict { sub, from, first: true }
            }
            Start::Last(last) => {
                own.state = State::Judged;
                Wish::Since { sub, last }
            }
            Start::Latest => {
                own.state = State::Snapshot;
                own.say_ok(None, None, out);
                Wish::Snapshot { sub, filter, at: None, after: None }
            }
        };
        self.subscriptions.push(own);
        vec![wish]
    }

    /// What this connection's subscriptions of mode `latest` are counted by.
    fn held(&self, out: &Outbox) -> Arc<Held> {
        let known = self.subscriptions.iter().find_map(|own| own.latest.as_ref());
        known.map_or_else(|| Held::new(out.backlog()), |latest| latest.held())
    }

    fn check(&self, asked: &Subscribe, out: &Outbox) -> Result<(Filter, Room), Refusal> {
        let sensors = asked.sensors.as_deref();
        if self.subscriptions.len() >= self.limits.subscriptions {
            let says = "this connection has as many subscriptions as it may";
            return Err(Refusal::new(ErrorCode::TooManySubscriptions, says));
        }
        if sensors.is_some_and(|sensors| sensors.len() > self.limits.patterns) {
            let says = "this subscription has more patterns than it may";
            return Err(Refusal::new(ErrorCode::TooManyPatterns, says));
        }
        let filter =
            Filter::parse(sensors).map_err(|error| Refusal::new(ErrorCode::BadPattern, error.to_string()))?;
        let room = out.kept().patterns(&filter);
        let room =
            room.ok_or_else(|| Refusal::new(ErrorCode::Busy, "pattern memory is full; try again later"))?;
        Ok((filter, room))
    }

    fn find(&self, sub: u32) -> Option<usize> {
        self.subscriptions.iter().position(|own| own.sub == sub)
    }

    fn get(&mut self, sub: u32) -> Option<&mut Subscription> {
        self.subscriptions.iter_mut().find(|own| own.sub == sub)
    }

    /// The answer to [`Wish::Attach`].
    pub fn on_attach(&mut self, sub: u32, attach: Attach, now: Instant, out: &mut Outbox) -> Vec<Wish> {
        let Some(own) = self.get(sub) else { return vec![Wish::Detach { sub }] };
        match attach {
            Attach::Live { missing, .. } if !missing.is_empty() && own.is_full(out) => {
                own.paused = true;
                vec![Wish::Detach { sub }]
            }
            Attach::Live { head, missing } => {
                let was = std::mem::replace(&mut own.state, State::Live);
                if was == State::Starting {
                    own.sent = head;
                    own.say_ok(Some(head), None, out);
                }
                missing.iter().for_each(|batch| own.send(batch, &Rows::All, now, out));
                own.sent = own.sent.max(head);
                // an event stream has no `ok`: its first `live` says as much
                if was == State::Replay || (was == State::Starting && own.form == Form::Sse) {
                    own.say_live(out);
                }
                Vec::new()
            }
            // at the head nothing can be missing: there is no feed yet, and the position is the log's to know
            Attach::TooFar if own.state == State::Starting => vec![Wish::Close(Close::Overloaded)],
            Attach::TooFar => vec![Wish::Read { sub, after: own.sent }],
        }
    }

    /// The answer to [`Wish::Verdict`].
    pub fn on_verdict(&mut self, sub: u32, verdict: Resume, out: &mut Outbox) -> Vec<Wish> {
        match verdict {
            Resume::From(from) => self.go_on_from(sub, from, true, out),
            Resume::Gap(gap) if self.form != Form::Demo => {
                if let Some(own) = self.get(sub) {
                    own.say_gap(gap, out);
                }
                self.go_on_from(sub, gap.to, false, out)
            }
            // the demo's protocol has no words for a gap, and silence would be a lie
            Resume::Gap(_) => vec![Wish::Close(Close::TooSlow)],
            Resume::Ahead => {
                let says = "the log does not reach this position yet";
                self.end_early(sub, Refusal::new(ErrorCode::BadPosition, says), out)
            }
        }
    }

    /// The log will never answer what a subscription asked.
    pub fn on_failed(&mut self, sub: u32, out: &mut Outbox) -> Vec<Wish> {
        self.end_early(sub, Refusal::new(ErrorCode::Unreadable, "the log cannot be read from there"), out)
    }

    /// Ends a subscription that cannot go on: by an error if its command has had no answer, else with the connection,
    /// since its client believes it to be live.
    fn end_early(&mut self, sub: u32, refusal: Refusal, out: &mut Outbox) -> Vec<Wish> {
        let Some(at) = self.find(sub) else { return Vec::new() };
        if self.subscriptions[at].state != State::Judged {
            return vec![Wish::Close(Close::Overloaded)];
        }
        let id = self.subscriptions.remove(at).command;
        self.refuse(id, refusal, out);
        // an event stream is its one subscription
        if self.form == Form::Sse { vec![Wish::Close(Close::BadMessage)] } else { Vec::new() }
    }

    /// The answer to [`Wish::Since`]: where that time began, and whether the log reaches back so far.
    pub fn on_since(&mut self, sub: u32, (from, whole): (Position, bool), out: &mut Outbox) -> Vec<Wish> {
        self.go_on_from(sub, from, whole, out)
    }

    fn go_on_from(&mut self, sub: u32, from: Position, resumed: bool, out: &mut Outbox) -> Vec<Wish> {
        let Some(own) = self.get(sub) else { return Vec::new() };
        own.sent = from;
        if own.state == State::Judged {
            own.state = State::Replay;
            own.say_ok(Some(from), Some(resumed), out);
        }
        vec![Wish::Attach { sub, filter: own.filter.clone(), after: Some(from) }]
    }

    /// The answer to [`Wish::Read`]: readings of the log up to `covered`.
    pub fn on_page(
        &mut self,
        sub: u32,
        (batches, covered): (&[Arc<Batch>], Position),
        now: Instant,
        out: &mut Outbox,
    ) -> Vec<Wish> {
        let Some(own) = self.get(sub) else { return Vec::new() };
        // other subscriptions may have filled the outbox meanwhile; the page will be there again
        if own.is_full(out) {
            own.paused = true;
            return Vec::new();
        }
        batches.iter().for_each(|batch| own.send(batch, &Rows::All, now, out));
        own.sent = own.sent.max(covered);
        own.paused = own.is_full(out);
        if own.paused {
            return Vec::new();
        }
        vec![Wish::Attach { sub, filter: own.filter.clone(), after: Some(own.sent) }]
    }

    /// The log does not reach back to where a subscription was going to read on.
    pub fn on_forgotten(&mut self, sub: u32) -> Vec<Wish> {
        let Some(own) = self.get(sub) else { return Vec::new() };
        if own.state == State::Snapshot {
            // what it was as of is past retention: begin again as of now
            own.snapshot_after = None;
            return vec![Wish::Snapshot { sub, filter: own.filter.clone(), at: None, after: None }];
        }
        vec![Wish::Verdict { sub, from: own.sent, first: false }]
    }

    /// The answer to [`Wish::Snapshot`].
    pub fn on_snapshot(&mut self, sub: u32, page: &SnapshotPage, out: &mut Outbox) -> Vec<Wish> {
        let Some(own) = self.get(sub) else { return Vec::new() };
        own.send_snapshot(&page.newest, out);
        own.sent = page.at;
        own.snapshot_after.clone_from(&page.next);
        if page.next.is_none() {
            own.state = State::Replay;
        }
        own.paused = own.is_full(out);
        if own.paused { Vec::new() } else { vec![read_on(own)] }
    }

    /// Readings from the hub.
    pub fn on_delivery(&mut self, delivery: &Delivery, now: Instant, out: &mut Outbox) -> Vec<Wish> {
        let Some(own) = self.get(delivery.sub) else { return Vec::new() };
        if own.state != State::Live {
            return Vec::new();
        }
        if own.is_full(out) {
            // from here on it reads the log at its own pace
            own.fall_behind();
            return vec![Wish::Detach { sub: delivery.sub }];
        }
        own.send(&delivery.batch, &delivery.rows, now, out);
        Vec::new()
    }

    /// The hub has forgotten the session's subscriptions, or started anew: all of them go on from the log.
    pub fn on_overflow(&mut self) {
        for own in &mut self.subscriptions {
            if own.state == State::Live {
                own.fall_behind();
            }
        }
    }

    /// Time has passed, or the outbox has room again: what waited for that goes on.
    pub fn on_moment(&mut self, now: Instant, out: &mut Outbox) -> Vec<Wish> {
        let mut wishes = Vec::new();
        for own in &mut self.subscriptions {
            own.flush(now, out);
            if own.paused && own.has_room(out) {
                own.paused = false;
                wishes.push(read_on(own));
            }
        }
        wishes
    }

    /// Whether a subscription waits for room.
    pub fn is_paused(&self) -> bool {
        self.subscriptions.iter().any(|own| own.paused)
    }

    /// When [`Session::on_moment`] has something to do that only waits for the time, not for room.
    pub fn next_due(&self, out: &Outbox) -> Option<Instant> {
        if out.is_full() {
            return None;
        }
        self.subscriptions.iter().filter_map(|own| own.latest.as_ref()?.next_due()).min()
    }

    /// The heartbeat: every delivery up to `head` has been taken from the mailbox before.
    pub fn on_heartbeat(&mut self, head: Position, stale: bool, out: &mut Outbox) {
        let live = self.subscriptions.iter_mut().filter(|own| own.state == State::Live);
        let marks: Vec<ServerMessage> = live
            .map(|own| {
                own.sent = own.sent.max(head);
                own.mark(stale)
            })
            .collect();
        self.form.say_all(&marks, out);
    }

    /// The last words before a close that this side begins.
    pub fn on_close(&self, close: Close, after_ms: Option<u64>, out: &mut Outbox) {
        let bye = wire::frame::Bye::new(close, after_ms);
        self.form.say(&ServerMessage { bye: Some(bye), ..ServerMessage::default() }, out);
        self.form.end(close, out);
    }

    /// What is written as a sign of life.
    pub fn ping(&self) -> &'static [u8] {
        self.form.ping()
    }

    /// The lowest position that everything was sent up to, for the log line of the connection's end.
    pub fn position(&self) -> Option<Position> {
        self.subscriptions.iter().map(Subscription::safe).min()
    }
}

/// What a subscription that had to wait does next.
fn read_on(own: &Subscription) -> Wish {
    let (sub, filter) = (own.sub, own.filter.clone());
    match own.state {
        State::Snapshot => {
            Wish::Snapshot { sub, filter, at: Some(own.sent), after: own.snapshot_after.clone() }
        }
        // the history may have changed meanwhile
        _ => Wish::Verdict { sub, from: own.sent, first: false },
    }
}

#[cfg(test)]
mod tests;
