//! Who the client of a session is: what it may read, from its first token to the last.

use std::sync::Arc;

use auth::{Grant, Subject};
use tokio::time::Instant;
use wire::{
    Close, Command, ErrorCode, Filter, Position, Refusal, ServerMessage,
    frame::{Authenticated, Expires},
};

use super::{
    Session,
    effect::{Effect, Token},
    waiting::{Granted, Waiting},
};
use crate::{admission::subjects::Share, outbox::Outbox};

impl Session {
    /// Whether it waits for the answer to [`Effect::Identify`], and takes no commands until then.
    pub fn is_identifying(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.is_checked)
    }

    /// What the client may do, if it has said who it is or need not.
    pub fn grant(&self) -> Option<&Arc<Grant>> {
        self.grant.as_ref()
    }

    /// Does what a command says, or holds it until the token before it was checked.
    pub(super) fn take(&mut self, command: Command, now: Instant, out: &mut Outbox) -> Vec<Effect> {
        match &mut self.waiting {
            Some(waiting) if waiting.is_checked => {
                waiting.held.push_back(command);
                Vec::new()
            }
            _ => self.on_command(command, now, out),
        }
    }

    pub(super) fn identify(&mut self, command: Option<u64>, token: String) -> Vec<Effect> {
        let waiting = self.waiting.get_or_insert_default();
        (waiting.is_checked, waiting.command) = (true, command);
        vec![Effect::Identify { token: Token(token) }]
    }

    /// The answer to [`Effect::Identify`]. A token that cannot be used ends a connection that has none yet; the one before
    /// stays in force otherwise.
    pub fn on_identified(
        &mut self,
        granted: Result<Granted, Refusal>,
        (head, now): (Position, Instant),
        out: &mut Outbox,
    ) -> Vec<Effect> {
        let Some(waiting) = self.waiting.take() else { return Vec::new() };
        let Waiting { query, command, held, .. } = *waiting;
        let is_first = self.grant.is_none();
        let mut effects = match granted.and_then(|granted| self.check_subject(granted)) {
            Err(refusal) if is_first => {
                let forbidden = refusal.code == ErrorCode::Forbidden;
                return vec![Effect::Close(if forbidden {
                    Close::Forbidden
                } else {
                    Close::Unauthenticated
                })];
            }
            Err(refusal) => {
                self.refuse(command, refusal, out);
                Vec::new()
            }
            Ok((grant, expires_in_ms)) => {
                if is_first {
                    self.hello(head, out);
                }
                let effects = self.regrant(grant, out);
                let auth = Some(Authenticated { expires_in_ms });
                self.write(ServerMessage { id: command, auth, ..ServerMessage::default() }, out);
                effects
            }
        };
        if let Some(query) = query {
            match self.charge_history(&query, now) {
                Ok(()) => effects.extend(self.subscribe(None, &query, out)),
                Err(refusal) => self.refuse(None, refusal, out),
            }
        }
        for command in held {
            effects.extend(self.take(command, now, out));
        }
        effects
    }

    /// A token renews what its subject may do; it does not make another subject of the client.
    fn check_subject(&self, granted: Granted) -> Result<Granted, Refusal> {
        let refuse = |detail: &str| Err(Refusal::new(ErrorCode::Forbidden, detail));
        if granted.0.read.is_none() {
            return refuse("this credential may not read");
        }
        match &self.grant {
            Some(own) if own.subject != Subject::Anonymous && own.subject != granted.0.subject => {
                refuse("this connection belongs to another subject")
            }
            _ => Ok(granted),
        }
    }

    /// From now on the client may do this. Live subscriptions go on with what is left of them, or has come to them.
    pub fn regrant(&mut self, grant: Arc<Grant>, out: &Outbox) -> Vec<Effect> {
        self.grant = Some(grant);
        let mut effects = Vec::new();
        for index in 0..self.subscriptions.len() {
            let filter = self.narrowed(&self.subscriptions[index].wanted);
            let own = &mut self.subscriptions[index];
            if own.filter == filter {
                continue;
            }
            let Some(permit) = out.budget().patterns(&filter) else {
                return vec![Effect::Close(Close::Overloaded)];
            };
            effects.extend(own.refilter(filter, permit));
        }
        effects
    }

    /// What the client may read of this.
    pub(super) fn narrowed(&self, wanted: &Arc<Filter>) -> Arc<Filter> {
        match &self.grant {
            Some(grant) if grant.read.is_all() => wanted.clone(),
            Some(grant) => Arc::new(grant.narrow(wanted)),
            None => Arc::new(Filter::Any(Vec::new())),
        }
    }

    /// What the client may take from now on.
    pub(crate) fn share(&mut self, share: Option<Box<Share>>) {
        self.share = share;
    }

    /// The client's token ends soon.
    pub fn on_expiring(&self, in_ms: u64, out: &mut Outbox) {
        self.write(ServerMessage { expires: Some(Expires { in_ms }), ..ServerMessage::default() }, out);
    }
}
