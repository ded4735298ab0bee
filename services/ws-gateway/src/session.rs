//! One connection as a pure state machine: the client's commands and the hub's deliveries go in, frames and effects
//! come out. No socket, no lock; the time is an argument.

mod allowance;
mod answers;
mod commands;
pub mod effect;
mod identity;
mod latest;
mod subscription;
mod waiting;

use std::sync::Arc;

use auth::Grant;
use tokio::time::Instant;
use wire::{
    Close, Filter, Position, Refusal, ServerMessage, Subscribe,
    frame::{Bye, Hello, Limits},
};

pub use self::waiting::Granted;
use self::{
    allowance::Allowance,
    effect::Effect,
    subscription::{State, Subscription},
    waiting::Waiting,
};
use crate::{
    admission::subjects::Share,
    encode::{Protocol, frames::FIRST_SUB},
    fanout::mailbox::Delivery,
    outbox::Outbox,
};

/// The longest silence on a live subscription, in milliseconds.
pub const IDLE_MS: u64 = 15_000;

/// The number of a demo connection's one subscription, which no frame shows.
const DEMO_SUB: u32 = 0;

/// A connection's state.
#[derive(Debug)]
pub struct Session {
    protocol: Protocol,
    /// Names the connection in logs.
    number: u64,
    limits: Arc<Limits>,
    allowance: Allowance,
    subscriptions: Vec<Subscription>,
    next_sub: u32,
    /// Whether clients may say who they are.
    asks: bool,
    /// What the client may do; none: it has yet to say who it is.
    grant: Option<Arc<Grant>>,
    /// What the client may take of what it shares with others of its subject; none: it is not bounded.
    share: Option<Box<Share>>,
    /// What waits until its token was checked.
    waiting: Option<Box<Waiting>>,
}

/// What a connection begins with.
#[derive(Debug, Clone)]
pub struct Opening<'a> {
    /// How its messages are written.
    pub protocol: Protocol,
    /// Names it in logs.
    pub number: u64,
    /// What it may do at most.
    pub limits: Arc<Limits>,
    /// Whether clients may say who they are.
    pub asks: bool,
    /// What the client may do; none: it has yet to say who it is, before anything else.
    pub grant: Option<Arc<Grant>>,
    /// What the client may take of what it shares with others of its subject; none: it is not bounded.
    pub share: Option<Box<Share>>,
    /// The subscription of its query.
    pub query: Option<&'a Subscribe>,
}

impl Session {
    /// Begins a connection: a demo client is subscribed to everything from now; v1 begins with `hello`; a query is
    /// its first subscription. A client that has yet to say who it is is told nothing before.
    pub fn begin(
        opening: Opening<'_>,
        (head, now): (Position, Instant),
        out: &mut Outbox,
    ) -> (Self, Vec<Effect>) {
        let Opening { protocol, number, limits, asks, grant, share, query } = opening;
        let allowance = Allowance::new(limits.commands_per_s, now);
        let (subscriptions, next_sub) = (Vec::new(), FIRST_SUB);
        let mut session = Self {
            protocol,
            number,
            limits,
            allowance,
            subscriptions,
            next_sub,
            asks,
            grant,
            share,
            waiting: None,
        };
        protocol.begin(number, out);
        if session.grant.is_none() {
            session.waiting = query.map(|query| Box::new(Waiting::with_query(query.clone())));
            return (session, Vec::new());
        }
        if protocol == Protocol::Demo {
            let own = Subscription::demo(DEMO_SUB, session.narrowed(&Arc::new(Filter::All)));
            let effect = Effect::Attach { sub: DEMO_SUB, filter: own.filter.clone(), after: None };
            session.add(own);
            return (session, vec![effect]);
        }
        session.hello(head, out);
        let effects = query.map(|query| session.subscribe(None, query, out)).unwrap_or_default();
        (session, effects)
    }

    fn hello(&self, head: Position, out: &mut Outbox) {
        let session = format!("{:x}", self.number);
        let hello = Hello { v: 1, session, pos: head, idle_ms: IDLE_MS, limits: *self.limits };
        self.write(ServerMessage { hello: Some(hello), ..ServerMessage::default() }, out);
    }

    fn write(&self, message: ServerMessage, out: &mut Outbox) {
        self.protocol.message(&message, out);
    }

    fn refuse(&self, id: Option<u64>, refusal: Refusal, out: &mut Outbox) {
        self.write(ServerMessage { id, error: Some(refusal.into()), ..ServerMessage::default() }, out);
    }

    /// Most connections have one subscription: room for more is taken when it is needed.
    fn add(&mut self, own: Subscription) {
        self.subscriptions.reserve_exact(1);
        self.subscriptions.push(own);
    }

    fn find(&self, sub: u32) -> Option<usize> {
        self.subscriptions.iter().position(|own| own.sub == sub)
    }

    fn get(&mut self, sub: u32) -> Option<&mut Subscription> {
        self.subscriptions.iter_mut().find(|own| own.sub == sub)
    }

    /// Readings from the hub.
    pub fn on_delivery(&mut self, delivery: &Delivery, now: Instant, out: &mut Outbox) -> Vec<Effect> {
        let Some(own) = self.get(delivery.sub) else { return Vec::new() };
        if own.state != State::Live {
            return Vec::new();
        }
        if own.is_full(out) {
            own.fall_behind();
            return vec![Effect::Detach { sub: delivery.sub }];
        }
        own.send_live(delivery, now, out);
        Vec::new()
    }

    /// The hub has forgotten the session's subscriptions, or restarted: all of them read on from the log.
    pub fn on_overflow(&mut self) {
        for own in &mut self.subscriptions {
            if own.state == State::Live {
                own.fall_behind();
            }
        }
    }

    /// Time has passed, or the outbox has room again: what waited for that goes on.
    pub fn on_moment(&mut self, now: Instant, out: &mut Outbox) -> Vec<Effect> {
        let mut effects = Vec::new();
        for own in &mut self.subscriptions {
            own.flush(now, out);
            if own.is_paused() && own.has_room(out) {
                own.pause(false);
                effects.push(own.read_on());
            }
        }
        effects
    }

    /// Whether a subscription waits for room.
    pub fn is_paused(&self) -> bool {
        self.subscriptions.iter().any(Subscription::is_paused)
    }

    /// Whether a subscription could not keep up and reads the log on.
    pub fn is_behind(&self) -> bool {
        self.subscriptions.iter().any(Subscription::is_behind)
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
        self.protocol.messages(&marks, out);
    }

    /// Writes what precedes a close that this side begins, and the close.
    pub fn on_close(&self, close: Close, after_ms: Option<u64>, out: &mut Outbox) {
        self.write(ServerMessage { bye: Some(Bye::new(close, after_ms)), ..ServerMessage::default() }, out);
        self.protocol.close(close, out);
    }

    /// What a silent peer is sent.
    pub fn ping(&self) -> &'static [u8] {
        self.protocol.ping()
    }

    /// The lowest position that everything was sent up to, for the log line of the connection's end.
    pub fn position(&self) -> Option<Position> {
        self.subscriptions.iter().map(Subscription::safe).min()
    }
}

#[cfg(test)]
mod tests;
