//! One connection as a pure state machine: what the client says and what the hub brings go in, frames and wishes
//! come out. No socket, no clock, no lock.

mod subscription;

use std::sync::Arc;

use store::Resume;
use wire::{
    Close, Command, ErrorCode, Filter, Position, Reading, ServerMessage, Start, Subscribe, Verb,
    command::Refusal,
    frame::{Attached, Empty, Hello, Limits, Live, Mark},
};

use self::subscription::{Form, State, Subscription};
use crate::{
    batch::{Batch, FIRST_SUB},
    hub::Attach,
    mailbox::{Delivery, Rows},
    outbox::Outbox,
    ws_frame,
};

/// What a gateway allows one connection.
pub const LIMITS: Limits =
    Limits { message_bytes: 64 << 10, subscriptions: 64, patterns: 256, fragments: 64, commands_per_s: 50 };

/// The longest silence on a live subscription, in milliseconds.
pub const IDLE_MS: u64 = 15_000;

/// The number of a demo connection's one subscription, which no frame shows.
const DEMO_SUB: u32 = 0;

/// What the session wants done. Each wish but the last two is answered by the `on_…` of its name.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    /// Attach a subscription to the hub, behind a position or at the head.
    Attach {
        /// Its number.
        sub: u32,
        /// What it wants.
        filter: Filter,
        /// Behind this; none: at the head.
        after: Option<Position>,
    },
    /// Ask the log what a position is worth.
    Verdict {
        /// For this subscription.
        sub: u32,
        /// The position.
        from: Position,
    },
    /// Read the log on.
    Read {
        /// For this subscription.
        sub: u32,
        /// Behind this.
        after: Position,
    },
    /// Read the newest reading of each sensor as of a position.
    Snapshot {
        /// For this subscription.
        sub: u32,
        /// What it wants.
        filter: Filter,
        /// As of this.
        at: Position,
    },
    /// End a subscription in the hub.
    Detach {
        /// Its number.
        sub: u32,
    },
    /// End the connection, after what is in the outbox.
    Close(Close),
}

/// A connection's state.
#[derive(Debug)]
pub struct Session {
    /// Whether it speaks v1; else the demo's protocol.
    v1: bool,
    name: String,
    subscriptions: Vec<Subscription>,
    next_sub: u32,
}

impl Session {
    /// A demo connection: one subscription to everything, from now.
    pub fn demo(name: String) -> (Self, Vec<Wish>) {
        let mut session = Self { v1: false, name, subscriptions: Vec::new(), next_sub: FIRST_SUB };
        session.subscriptions.push(Subscription::new(DEMO_SUB, Form::Demo, Filter::All, None));
        let wish = Wish::Attach { sub: DEMO_SUB, filter: Filter::All, after: None };
        (session, vec![wish])
    }

    /// A v1 connection: it begins with `hello`, and with the subscription of its query, if that has one.
    pub fn v1(name: String, head: Position, query: Option<Subscribe>, out: &mut Outbox) -> (Self, Vec<Wish>) {
        let mut session = Self { v1: true, name, subscriptions: Vec::new(), next_sub: FIRST_SUB };
        session.hello(head, out);
        let wishes = query.map(|query| session.subscribe(None, &query, head, out)).unwrap_or_default();
        (session, wishes)
    }

    fn hello(&self, head: Position, out: &mut Outbox) {
        let hello = Hello { v: 1, session: self.name.clone(), pos: head, idle_ms: IDLE_MS, limits: LIMITS };
        say(&ServerMessage { hello: Some(hello), ..ServerMessage::default() }, out);
    }

    /// A text message of the client.
    pub fn on_text(&mut self, text: &str, head: Position, out: &mut Outbox) -> Vec<Wish> {
        let commands = Command::parse_frame(text);
        let mut wishes = Vec::new();
        if !self.v1 {
            // what an old client says is dropped, unless it turns out to speak v1
            let Ok(commands) = &commands else { return wishes };
            if !commands.first().is_some_and(Command::is_v1) {
                return wishes;
            }
            self.v1 = true;
            self.subscriptions.clear();
            wishes.push(Wish::Detach { sub: DEMO_SUB });
            self.hello(head, out);
        }
        match commands {
            Ok(commands) => {
                for command in commands {
                    wishes.extend(self.on_command(command, head, out));
                }
            }
            Err(_) => wishes.push(Wish::Close(Close::BadMessage)),
        }
        wishes
    }

    fn on_command(&mut self, command: Command, head: Position, out: &mut Outbox) -> Vec<Wish> {
        let id = command.id;
        match command.verb {
            Verb::Subscribe(subscribe) => return self.subscribe(id, &subscribe, head, out),
            Verb::Unsubscribe(sub) => match self.find(sub) {
                Some(at) => {
                    self.subscriptions.remove(at);
                    let ok = Attached { sub, ..Attached::default() };
                    say(&ServerMessage { id, ok: Some(ok), ..ServerMessage::default() }, out);
                    return vec![Wish::Detach { sub }];
                }
                None => {
                    refuse(id, ErrorCode::UnknownSubscription, "there is no subscription of this number", out)
                }
            },
            Verb::Ping => say(&ServerMessage { id, pong: Some(Empty {}), ..ServerMessage::default() }, out),
            Verb::Auth(_) => {
                refuse(id, ErrorCode::AuthNotAsked, "this gateway asks nobody who they are", out)
            }
            Verb::Unknown(verb) => {
                refuse(id, ErrorCode::UnknownVerb, &format!("there is no verb {verb:?}"), out);
            }
            Verb::Malformed(refusal) => refuse(id, refusal.code, &refusal.message, out),
        }
        Vec::new()
    }

    fn subscribe(
        &mut self,
        id: Option<u64>,
        subscribe: &Subscribe,
        head: Position,
        out: &mut Outbox,
    ) -> Vec<Wish> {
        let sensors = subscribe.sensors.as_deref();
        if self.subscriptions.len() >= LIMITS.subscriptions {
            refuse(
                id,
                ErrorCode::TooManySubscriptions,
                "this connection has as many subscriptions as it may",
                out,
            );
            return Vec::new();
        }
        if sensors.is_some_and(|sensors| sensors.len() > LIMITS.patterns) {
            refuse(id, ErrorCode::TooManyPatterns, "this subscription has more patterns than it may", out);
            return Vec::new();
        }
        let filter = match Filter::parse(sensors) {
            Ok(filter) => filter,
            Err(error) => {
                refuse(id, ErrorCode::BadPattern, &error.to_string(), out);
                return Vec::new();
            }
        };
        let sub = self.next_sub;
        self.next_sub += 1;
        let mut subscription = Subscription::new(sub, Form::V1, filter.clone(), id);
        let wish = match subscribe.from {
            Start::Now => Wish::Attach { sub, filter, after: None },
            Start::After(from) => {
                subscription.sent = from;
                subscription.state = State::Judged;
                Wish::Verdict { sub, from }
            }
            Start::Last(_) => {
                refuse(id, ErrorCode::BadCommand, "`last` is not served", out);
                return Vec::new();
            }
            Start::Latest => {
                subscription.sent = head;
                subscription.state = State::Snapshot;
                subscription.say_ok(None, None, out);
                Wish::Snapshot { sub, filter, at: head }
            }
        };
        self.subscriptions.push(subscription);
        vec![wish]
    }

    fn find(&self, sub: u32) -> Option<usize> {
        self.subscriptions.iter().position(|own| own.sub == sub)
    }

    fn get(&mut self, sub: u32) -> Option<&mut Subscription> {
        self.subscriptions.iter_mut().find(|own| own.sub == sub)
    }

    /// The answer to [`Wish::Attach`].
    pub fn on_attach(&mut self, sub: u32, attach: Attach, out: &mut Outbox) -> Vec<Wish> {
        let Some(own) = self.get(sub) else { return vec![Wish::Detach { sub }] };
        match attach {
            Attach::Live { head, missing } => {
                let was = std::mem::replace(&mut own.state, State::Live);
                if was == State::Starting {
                    own.sent = head;
                    own.say_ok(Some(head), None, out);
                }
                missing.iter().for_each(|batch| own.send(batch, &Rows::All, out));
                own.sent = own.sent.max(head);
                if was == State::Replay {
                    own.say(
                        ServerMessage { live: Some(Live { pos: own.sent }), ..ServerMessage::default() },
                        out,
                    );
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
        let Some(own) = self.get(sub) else { return Vec::new() };
        let (resumed, from) = match verdict {
            Resume::From(from) => (true, from),
            Resume::Gap(gap) => {
                own.say_gap(gap, out);
                (false, gap.to)
            }
            Resume::Ahead => {
                if let Some(at) = self.find(sub) {
                    let id = self.subscriptions.remove(at).command;
                    refuse(id, ErrorCode::BadPosition, "the log does not reach this position yet", out);
                }
                return Vec::new();
            }
        };
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
        batches: &[Arc<Batch>],
        covered: Position,
        out: &mut Outbox,
    ) -> Vec<Wish> {
        let Some(own) = self.get(sub) else { return Vec::new() };
        batches.iter().for_each(|batch| own.send(batch, &Rows::All, out));
        own.sent = own.sent.max(covered);
        own.paused = out.is_full();
        if own.paused {
            return Vec::new();
        }
        vec![Wish::Attach { sub, filter: own.filter.clone(), after: Some(own.sent) }]
    }

    /// The log does not reach back to where a subscription was going to read on.
    pub fn on_forgotten(&mut self, sub: u32) -> Vec<Wish> {
        self.get(sub).map(|own| Wish::Verdict { sub, from: own.sent }).into_iter().collect()
    }

    /// The answer to [`Wish::Snapshot`].
    pub fn on_snapshot(&mut self, sub: u32, newest: &[Reading], out: &mut Outbox) -> Vec<Wish> {
        let Some(own) = self.get(sub) else { return Vec::new() };
        own.send_snapshot(newest, out);
        own.state = State::Replay;
        vec![Wish::Attach { sub, filter: own.filter.clone(), after: Some(own.sent) }]
    }

    /// Readings from the hub.
    pub fn on_delivery(&mut self, delivery: &Delivery, out: &mut Outbox) -> Vec<Wish> {
        let Some(own) = self.get(delivery.sub) else { return Vec::new() };
        if own.state != State::Live {
            return Vec::new();
        }
        if out.is_full() {
            // from here on it reads the log at its own pace
            own.fall_behind();
            return vec![Wish::Detach { sub: delivery.sub }];
        }
        own.send(&delivery.batch, &delivery.rows, out);
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

    /// The outbox has room again.
    pub fn on_room(&mut self) -> Vec<Wish> {
        let paused = self.subscriptions.iter_mut().filter(|own| own.paused);
        paused
            .map(|own| {
                own.paused = false;
                Wish::Verdict { sub: own.sub, from: own.sent }
            })
            .collect()
    }

    /// Whether a subscription waits for room.
    pub fn is_paused(&self) -> bool {
        self.subscriptions.iter().any(|own| own.paused)
    }

    /// The heartbeat: every delivery up to `head` has been taken from the mailbox before.
    pub fn on_heartbeat(&mut self, head: Position, out: &mut Outbox) {
        let mut marks = Vec::new();
        for own in self.subscriptions.iter_mut().filter(|own| own.state == State::Live) {
            own.sent = own.sent.max(head);
            if own.form == Form::V1 {
                let mark = Mark { pos: own.sent, n: own.count, stale: false };
                marks.push(ServerMessage {
                    sub: Some(own.sub),
                    mark: Some(mark),
                    ..ServerMessage::default()
                });
            }
        }
        match marks.as_slice() {
            [] => {}
            [one] => say(one, out),
            many => text(serde_json::to_string(many).unwrap_or_default().as_bytes(), out),
        }
    }

    /// The last words before a close that this side begins.
    pub fn on_close(&self, close: Close, after_ms: Option<u64>, out: &mut Outbox) {
        if self.v1 {
            let bye = wire::frame::Bye::new(close, after_ms);
            say(&ServerMessage { bye: Some(bye), ..ServerMessage::default() }, out);
        }
        out.push(ws_frame::close(close));
    }

    /// The lowest position that everything was sent up to, for the log line of the connection's end.
    pub fn position(&self) -> Option<Position> {
        self.subscriptions.iter().map(|own| own.sent).min()
    }
}

fn refuse(id: Option<u64>, code: ErrorCode, message: &str, out: &mut Outbox) {
    let error = Refusal::new(code, message).into();
    say(&ServerMessage { id, error: Some(error), ..ServerMessage::default() }, out);
}

fn say(message: &ServerMessage, out: &mut Outbox) {
    text(message.to_json().as_bytes(), out);
}

fn text(json: &[u8], out: &mut Outbox) {
    let mut frame = Vec::with_capacity(json.len() + ws_frame::MAX_HEADER);
    ws_frame::write_text(json, &mut frame);
    out.push(frame);
}

#[cfg(test)]
mod tests;
