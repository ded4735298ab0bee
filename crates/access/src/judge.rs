//! What a credential grants, by what this process knows.

use std::sync::Arc;

use auth::{Credential, Grant, Limits, Subject, UnixMicros};
use chassis::Clock;
use tokio::sync::watch;

use crate::{
    caller::{Caller, Proof},
    denial::Denial,
    issuers::{Checked, Issuers, Verified},
    known::Known,
    metrics::Metrics,
};

/// Keys, revocations and issuers, shared by all requests.
pub(crate) struct Judge {
    pub(crate) known: Known,
    pub(crate) issuers: Issuers,
    pub(crate) metrics: Metrics,
    clock: Clock,
    changed: watch::Sender<()>,
}

/// The answer to a request's credential.
pub(crate) enum Answer {
    /// At once.
    Now(Result<Caller, Denial>),
    /// A token names a key that is not known: the issuers are to be asked first.
    Later,
}

impl Judge {
    pub(crate) fn new(issuers: Issuers, metrics: Metrics, clock: Clock) -> Self {
        let (changed, _) = watch::channel(());
        Self { known: Known::default(), issuers, metrics, clock, changed }
    }

    /// Is told of every change.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The time by the clock of Postgres.
    pub(crate) fn now(&self) -> UnixMicros {
        UnixMicros(self.clock.now_micros())
    }

    /// Something has changed.
    pub(crate) fn tell(&self) {
        self.changed.send_replace(());
    }

    /// What a key that was presented grants.
    pub(crate) fn judge_key(&self, credential: &Credential<'_>) -> Result<Caller, Denial> {
        let Credential::Key(key) = credential else { return Err(Denial::Malformed) };
        let (id, secret) = (key.id(), key.hash());
        let grant = self.known.authenticate(id, &secret, self.now())?;
        Ok(Caller::new(grant, Proof::Key(id, secret)))
    }

    /// What a token grants.
    pub(crate) fn judge_token(&self, token: &str) -> Answer {
        let now = self.now();
        let verified = match self.issuers.check(token, now) {
            Checked::UnknownKey if self.issuers.is_empty() => return Answer::Now(Err(Denial::Foreign)),
            Checked::UnknownKey => return Answer::Later,
            Checked::Judged(Err(denial)) => return Answer::Now(Err(denial)),
            Checked::Judged(Ok(verified)) => verified,
        };
        let Verified { issuer, subject, id, read, write, expires_at } = verified;
        if self.known.is_revoked(&issuer, &subject, id.as_deref(), now) {
            return Answer::Now(Err(Denial::Revoked));
        }
        let subject = Subject::Viewer { issuer, subject: subject.into() };
        let grant = Grant { subject, write, read, limits: Limits::default(), expires_at: Some(expires_at) };
        let proof = Proof::Token(id.map(Into::into));
        Answer::Now(Ok(Caller::new(Arc::new(grant), proof)))
    }

    /// What somebody may do now who was let in before: keys change, tokens are revoked, both end.
    pub(crate) fn recheck(&self, caller: &Caller) -> Result<Arc<Grant>, Denial> {
        let (grant, now) = (&caller.grant, self.now());
        match (&caller.proof, &grant.subject) {
            (Proof::Key(id, secret), _) => Ok(self.known.recall(*id, secret, now)?),
            (Proof::Token(token), Subject::Viewer { issuer, subject }) => {
                if grant.is_over(now) {
                    Err(Denial::Expired)
                } else if self.known.is_revoked(issuer, subject, token.as_deref(), now) {
                    Err(Denial::Revoked)
                } else {
                    Ok(grant.clone())
                }
            }
            (Proof::Token(_) | Proof::Nothing, _) => Ok(grant.clone()),
        }
    }

    /// Counts a denial.
    pub(crate) fn counted<T>(&self, judged: Result<T, Denial>) -> Result<T, Denial> {
        judged.map_err(|denial| self.metrics.count(denial))
    }
}
