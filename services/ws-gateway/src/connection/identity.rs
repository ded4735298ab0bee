//! Who the client of a connection is: checked when it says so, when keys or revocations change, and when its token ends.

use std::{sync::Arc, time::Duration};

use access::{Caller, Denial};
use tokio::time::Instant;
use wire::{Close, ErrorCode, Refusal};

use super::{Connection, End, peer::Peer};

/// How long a client may take to say who it is.
const IDENTIFY_WITHIN: Duration = Duration::from_secs(10);

impl<P: Peer> Connection<P> {
    /// Sets when the client's token ends, or by when it must have one.
    pub(super) fn note_end(&mut self) {
        match &self.caller {
            Some(caller) => {
                let ends_in = self.app.gate.ends_in(caller);
                self.clock.set_end(ends_in);
            }
            None => self.clock.identified_by = Some(Instant::now() + IDENTIFY_WITHIN),
        }
    }

    pub(super) fn on_identified(&mut self, identified: Result<Caller, Denial>) -> Result<(), End> {
        let head = self.app.hub.head().unwrap_or_default();
        let granted = identified.as_ref().map(|caller| {
            let ends_in = self.app.gate.ends_in(caller);
            let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            (caller.grant.clone(), ends_in.map(ms))
        });
        let granted = granted.map_err(|denial| Refusal::new(ErrorCode::BadToken, denial.to_string()));
        if let (None, Ok(caller)) = (&self.caller, &identified) {
            // the place of the one that is there already stays
            let Ok(subject) = self.app.subjects.admit(&self.app.gate.meter(caller)) else {
                return Err(Close::TooMany.into());
            };
            self.session.share(self.app.share(caller, subject.as_ref()));
            self.subject = subject;
        }
        let effects = self.session.on_identified(granted, (head, Instant::now()), &mut self.outbox);
        if let Ok(caller) = identified
            && self.session.grant().is_some_and(|own| Arc::ptr_eq(own, &caller.grant))
        {
            self.caller = Some(caller);
            self.note_end();
            // what was revoked while the token was checked was told to the one before
            self.permit.mailbox.recheck();
        }
        self.apply(effects)
    }

    /// Who the client is, for logs; none: it need not say.
    pub(super) fn subject(&self) -> Option<String> {
        let caller = self.caller.as_ref().filter(|caller| !caller.is_anonymous())?;
        Some(caller.grant.subject.to_string())
    }

    /// Keys or revocations have changed.
    pub(super) fn recheck(&mut self) -> Result<(), End> {
        let Some(caller) = &mut self.caller else { return Ok(()) };
        let Ok(grant) = self.app.gate.recheck(caller) else { return Err(Close::Unauthenticated.into()) };
        if Arc::ptr_eq(&grant, &caller.grant) {
            return Ok(());
        }
        if grant.read.is_none() {
            return Err(Close::Forbidden.into());
        }
        caller.grant = grant.clone();
        let share = self.app.share(caller, self.subject.as_ref());
        self.session.share(share);
        self.note_end();
        let effects = self.session.regrant(grant, &self.outbox);
        self.apply(effects)
    }

    /// Tells the client that its token ends, and ends the connection with it.
    pub(super) fn on_end_of_token(&mut self, now: Instant) -> Result<(), End> {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.clock.identified_by) || is_due(self.clock.over_at) {
            return Err(Close::Unauthenticated.into());
        }
        if is_due(self.clock.notice_at) {
            self.clock.notice_at = None;
            let left = self.clock.over_at.map_or(Duration::ZERO, |at| at - now);
            self.session.on_expiring(u64::try_from(left.as_millis()).unwrap_or(u64::MAX), &mut self.outbox);
        }
        Ok(())
    }
}
