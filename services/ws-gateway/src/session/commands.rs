//! What a session does at its client's commands.

use std::sync::Arc;

use access::Denial;
use tokio::time::Instant;
use wire::{
    Close, Command, Empty, ErrorCode, Filter, Mode, Position, Refusal, ServerMessage, Start, Subscribe, Verb,
    frame::Attached,
};

use super::{
    DEMO_SUB, Session,
    effect::Effect,
    latest::{Held, Latest},
    subscription::{State, Subscription},
};
use crate::{
    admission::{
        history_cost,
        subjects::{SubscriptionPermit, TooMany},
    },
    budget::MemoryPermit,
    encode::Protocol,
    outbox::Outbox,
};

/// What is asked for, what of it may be read, and the memory of both.
type Checked = (Arc<Filter>, Arc<Filter>, [Option<MemoryPermit>; 2]);

impl Session {
    /// A text message of the client.
    pub fn on_text(&mut self, text: &str, (head, now): (Position, Instant), out: &mut Outbox) -> Vec<Effect> {
        let commands = Command::parse_frame(text);
        let mut effects = Vec::new();
        if !self.allowance.take(commands.as_ref().map_or(1, Vec::len), now) {
            return vec![Effect::Close(Close::TooMany)];
        }
        if self.protocol == Protocol::Demo {
            // an old client's messages are ignored, unless they are v1
            let Ok(commands) = &commands else { return effects };
            if !commands.first().is_some_and(Command::is_v1) {
                return effects;
            }
            self.protocol = Protocol::V1;
            self.subscriptions.clear();
            effects.push(Effect::Detach { sub: DEMO_SUB });
            self.hello(head, out);
        }
        match commands {
            Ok(commands) => {
                for command in commands {
                    effects.extend(self.take(command, now, out));
                }
            }
            Err(_) => effects.push(Effect::Close(Close::BadMessage)),
        }
        effects
    }

    /// A control frame of the client; false when these are more than it may send.
    pub fn on_control(&mut self, now: Instant) -> bool {
        self.allowance.take(1, now)
    }

    pub(super) fn on_command(&mut self, command: Command, now: Instant, out: &mut Outbox) -> Vec<Effect> {
        let id = command.id;
        if let Err(refusal) = self.charge(&command.verb, now) {
            self.refuse(id, refusal, out);
            return Vec::new();
        }
        if self.grant.is_none() && !matches!(command.verb, Verb::Auth(_)) {
            return vec![Effect::Close(Close::Unauthenticated)];
        }
        let refusal = match command.verb {
            Verb::Subscribe(subscribe) => return self.subscribe(id, &subscribe, out),
            Verb::Unsubscribe(sub) => match self.find(sub) {
                Some(at) => {
                    self.subscriptions.remove(at);
                    let ok = Attached { sub, ..Attached::default() };
                    self.write(ServerMessage { id, ok: Some(ok), ..ServerMessage::default() }, out);
                    return vec![Effect::Detach { sub }];
                }
                None => Refusal::new(ErrorCode::UnknownSubscription, format!("unknown subscription {sub}")),
            },
            Verb::Ping => {
                self.write(ServerMessage { id, pong: Some(Empty {}), ..ServerMessage::default() }, out);
                return Vec::new();
            }
            Verb::Auth(auth) if self.asks => return self.identify(id, auth.token),
            Verb::Auth(_) => Refusal::new(ErrorCode::AuthNotAsked, "authentication is not enabled"),
            Verb::Unknown(verb) => Refusal::new(ErrorCode::UnknownVerb, format!("unknown verb {verb:?}")),
            Verb::Malformed(refusal) => refusal,
        };
        self.refuse(id, refusal, out);
        Vec::new()
    }

    /// Takes what a command costs. A client that renews its token must not be refused for what it did before.
    fn charge(&self, verb: &Verb, now: Instant) -> Result<(), Refusal> {
        let (Some(share), false) = (&self.share, matches!(verb, Verb::Auth(_))) else { return Ok(()) };
        share.command(now.into_std()).map_err(too_many)?;
        match verb {
            Verb::Subscribe(request) => self.charge_history(request, now),
            _ => Ok(()),
        }
    }

    /// Takes what a subscription reads of the past.
    pub(super) fn charge_history(&self, request: &Subscribe, now: Instant) -> Result<(), Refusal> {
        let (Some(share), Some(rows)) = (&self.share, history_cost::of_subscription(&request.from)) else {
            return Ok(());
        };
        share.rows(rows, now.into_std()).map_err(too_many)
    }

    pub(super) fn subscribe(
        &mut self,
        id: Option<u64>,
        request: &Subscribe,
        out: &mut Outbox,
    ) -> Vec<Effect> {
        let checked = self.check(request, out).and_then(|checked| Ok((checked, self.place()?)));
        let ((wanted, filter, permits), place) = match checked {
            Ok(checked) => checked,
            Err(_) if self.protocol.is_one_subscription() => return vec![Effect::Close(Close::Overloaded)],
            Err(refusal) => {
                self.refuse(id, refusal, out);
                return Vec::new();
            }
        };
        let sub = self.next_sub;
        self.next_sub += 1;
        let latest = (request.mode == Mode::Latest).then(|| Latest::new(request.max_rate, self.held(out)));
        let own = Subscription::new(sub, self.protocol, (wanted, filter.clone()), id, latest);
        let mut own = own.with_trace(request.trace);
        (own.permits, own.place) = (permits, place);
        let effect = match request.from {
            Start::Now => Effect::Attach { sub, filter, after: None },
            Start::After(from) => {
                (own.sent, own.state) = (from, State::Resolving);
                Effect::Resolve { sub, from, first: true }
            }
            Start::Last(last) => {
                own.state = State::Resolving;
                Effect::Since { sub, last }
            }
            Start::Latest => {
                own.state = State::Snapshot { after: None, paused: false };
                own.write_ok(None, None, out);
                Effect::Snapshot { sub, filter, at: None, after: None }
            }
        };
        self.add(own);
        vec![effect]
    }

    /// What this connection's subscriptions of mode `latest` are counted by.
    fn held(&self, out: &Outbox) -> Arc<Held> {
        let known = self.subscriptions.iter().find_map(|own| own.latest.as_ref());
        known.map_or_else(|| Held::new(out.backlog()), |latest| latest.held())
    }

    /// A place among the subscriptions of the client, where these are bounded.
    fn place(&self) -> Result<Option<SubscriptionPermit>, Refusal> {
        let Some(share) = &self.share else { return Ok(None) };
        let detail = "this credential has as many subscriptions as it may";
        share.subscribe().map_err(|TooMany| Refusal::new(ErrorCode::TooManySubscriptions, detail))
    }

    fn check(&self, request: &Subscribe, out: &Outbox) -> Result<Checked, Refusal> {
        let sensors = request.sensors.as_deref();
        if self.subscriptions.len() >= self.limits.subscriptions {
            let detail = "too many subscriptions on this connection";
            return Err(Refusal::new(ErrorCode::TooManySubscriptions, detail));
        }
        if sensors.is_some_and(|sensors| sensors.len() > self.limits.patterns) {
            return Err(Refusal::new(ErrorCode::TooManyPatterns, "too many patterns in this subscription"));
        }
        let filter =
            Filter::parse(sensors).map_err(|error| Refusal::new(ErrorCode::BadPattern, error.to_string()))?;
        let permit = |filter: &Filter| {
            let permit = out.budget().patterns(filter);
            permit.ok_or_else(|| Refusal::new(ErrorCode::Busy, "pattern memory is full; try again later"))
        };
        let asked = permit(&filter)?;
        let wanted = Arc::new(filter);
        let filter = self.narrowed(&wanted);
        let granted = if Arc::ptr_eq(&wanted, &filter) { None } else { Some(permit(&filter)?) };
        Ok((wanted, filter, [Some(asked), granted]))
    }
}

/// The refusal of a command that costs more than is left.
fn too_many(denial: Denial) -> Refusal {
    let refusal = Refusal::new(ErrorCode::TooManyRequests, denial.to_string());
    match denial {
        Denial::TooMany(seconds) => refusal.over_after(u64::from(seconds) * 1_000),
        _ => refusal,
    }
}
