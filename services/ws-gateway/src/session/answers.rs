//! What a session does at the answers to its effects.

use std::sync::Arc;

use tokio::time::Instant;
use wire::{Close, ErrorCode, Position, Refusal, Resume};

use super::{Session, effect::Effect, subscription::State};
use crate::{
    fanout::{batch::Batch, hub::Attach, selection::Selection, snapshot::SnapshotPage},
    outbox::Outbox,
};

impl Session {
    /// The answer to [`Effect::Attach`].
    pub fn on_attach(&mut self, sub: u32, attach: Attach, now: Instant, out: &mut Outbox) -> Vec<Effect> {
        let Some(own) = self.get(sub) else { return vec![Effect::Detach { sub }] };
        match attach {
            Attach::Live { missing, .. } if !missing.is_empty() && own.is_full(out) => {
                own.pause(true);
                vec![Effect::Detach { sub }]
            }
            Attach::Live { head, missing } => {
                let was = std::mem::replace(&mut own.state, State::Live);
                if was == State::Starting {
                    own.sent = head;
                    own.write_ok(Some(head), None, out);
                }
                missing.iter().for_each(|batch| own.send(batch, &Selection::All, now, out));
                own.sent = own.sent.max(head);
                let is_first_live = match was {
                    State::Starting => !own.protocol.has_ok(),
                    State::Replay { resumed, .. } => !resumed,
                    State::Resolving | State::Snapshot { .. } | State::Live => false,
                };
                if is_first_live {
                    own.write_live(out);
                }
                Vec::new()
            }
            // nothing can be missing at the head: there is no feed yet, and only the log knows the position
            Attach::TooFar if own.state == State::Starting => vec![Effect::Close(Close::Overloaded)],
            Attach::TooFar => vec![Effect::Read { sub, after: own.sent }],
        }
    }

    /// The answer to [`Effect::Resolve`].
    pub fn on_resolve(&mut self, sub: u32, resume: Resume, out: &mut Outbox) -> Vec<Effect> {
        match resume {
            Resume::From(from) => self.replay_from(sub, from, true, out),
            Resume::Gap(gap) if self.protocol.has_gap() => {
                if let Some(own) = self.get(sub) {
                    own.write_gap(gap, out);
                }
                self.replay_from(sub, gap.to, false, out)
            }
            // a client that cannot be told of the gap must not believe that it misses nothing
            Resume::Gap(_) => vec![Effect::Close(Close::TooSlow)],
            Resume::Ahead => {
                let detail = "the log does not reach this position yet";
                self.end_early(sub, Refusal::new(ErrorCode::BadPosition, detail), out)
            }
        }
    }

    /// The log cannot answer what a subscription needs, and never will.
    pub fn on_failed(&mut self, sub: u32, out: &mut Outbox) -> Vec<Effect> {
        self.end_early(sub, Refusal::new(ErrorCode::Unreadable, "the log cannot be read from there"), out)
    }

    /// Ends a subscription that cannot go on: by an error if its command has had no answer, else with the connection,
    /// since its client believes it to be live.
    fn end_early(&mut self, sub: u32, refusal: Refusal, out: &mut Outbox) -> Vec<Effect> {
        let Some(at) = self.find(sub) else { return Vec::new() };
        if self.subscriptions[at].state != State::Resolving {
            return vec![Effect::Close(Close::Overloaded)];
        }
        let id = self.subscriptions.remove(at).command;
        self.refuse(id, refusal, out);
        if self.protocol.is_one_subscription() { vec![Effect::Close(Close::BadMessage)] } else { Vec::new() }
    }

    /// The answer to [`Effect::Since`]: the position of that time, and whether the log reaches back so far.
    pub fn on_since(&mut self, sub: u32, (from, whole): (Position, bool), out: &mut Outbox) -> Vec<Effect> {
        self.replay_from(sub, from, whole, out)
    }

    fn replay_from(&mut self, sub: u32, from: Position, whole: bool, out: &mut Outbox) -> Vec<Effect> {
        let Some(own) = self.get(sub) else { return Vec::new() };
        own.sent = from;
        if own.state == State::Resolving {
            own.state = State::Replay { resumed: false, paused: false };
            own.write_ok(Some(from), Some(whole), out);
        }
        vec![Effect::Attach { sub, filter: own.filter.clone(), after: Some(from) }]
    }

    /// The answer to [`Effect::Read`]: readings of the log up to `covered`.
    pub fn on_page(
        &mut self,
        sub: u32,
        (batches, covered): (&[Arc<Batch>], Position),
        now: Instant,
        out: &mut Outbox,
    ) -> Vec<Effect> {
        let Some(own) = self.get(sub) else { return Vec::new() };
        // other subscriptions may have filled the outbox meanwhile; the page can be read again
        if own.is_full(out) {
            own.pause(true);
            return Vec::new();
        }
        batches.iter().for_each(|batch| own.send(batch, &Selection::All, now, out));
        own.sent = own.sent.max(covered);
        if own.is_full(out) {
            own.pause(true);
            return Vec::new();
        }
        own.pause(false);
        vec![Effect::Attach { sub, filter: own.filter.clone(), after: Some(own.sent) }]
    }

    /// The log no longer reaches back to where a subscription was going to read on.
    pub fn on_forgotten(&mut self, sub: u32) -> Vec<Effect> {
        let Some(own) = self.get(sub) else { return Vec::new() };
        if let State::Snapshot { after, .. } = &mut own.state {
            // the snapshot's position is past retention: begin again as of now
            *after = None;
            return vec![Effect::Snapshot { sub, filter: own.filter.clone(), at: None, after: None }];
        }
        vec![Effect::Resolve { sub, from: own.sent, first: false }]
    }

    /// The answer to [`Effect::Snapshot`].
    pub fn on_snapshot(&mut self, sub: u32, page: &SnapshotPage, out: &mut Outbox) -> Vec<Effect> {
        let Some(own) = self.get(sub) else { return Vec::new() };
        own.send_snapshot(&page.newest, out);
        own.sent = page.at;
        let paused = own.is_full(out);
        own.state = match &page.next {
            Some(next) => State::Snapshot { after: Some(next.clone()), paused },
            None => State::Replay { resumed: false, paused },
        };
        if paused { Vec::new() } else { vec![own.read_on()] }
    }
}
