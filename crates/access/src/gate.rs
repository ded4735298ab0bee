//! The one question that every door asks.

use std::{path::Path, sync::Arc, time::Duration};

use auth::{Credential, Grant, Limits, Scope, Subject, UnixMicros};
use chassis::{Clock, Life, Readiness};
use http::HeaderMap;
use store::Database;
use tokio::sync::watch;

use crate::{
    caller::{Caller, Proof},
    config::AuthConfig,
    denial::Denial,
    follow::{follow_issuers, follow_keys},
    issuers::{Checked, Issuers, UNKNOWN_KEY, Verified},
    known::Known,
    metrics::Metrics,
    presented::{credential, presented},
};

/// How long a request waits for a key that an issuer may have just made.
const KEY_WAIT: Duration = Duration::from_secs(3);

/// Says what a request may do.
#[derive(Clone)]
pub struct Gate {
    /// None: everybody may do everything.
    inner: Option<Arc<Inner>>,
    /// Who comes without a credential.
    nobody: Caller,
}

/// What the gates of a service share.
pub(crate) struct Inner {
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
    /// A token names a key that is not known: [`Gate::admit`] asks its issuers.
    Later,
}

impl Gate {
    /// The gate of a service. Until [`Gate::follow`] has read the device keys, it knows none.
    ///
    /// # Errors
    /// When the file of issuers cannot be used.
    pub fn new(config: &AuthConfig, clock: Clock, metrics: Metrics) -> Result<Self, String> {
        if !config.enabled {
            return Ok(Self::open());
        }
        let scope = |patterns| Scope::parse(patterns).map_err(|error| error.to_string());
        let nobody = Caller::anonymous(scope(&config.anonymous_read)?, scope(&config.anonymous_write)?);
        let issuers = Issuers::load(Path::new(&config.issuers_file))?;
        let (changed, _) = watch::channel(());
        let inner = Inner { known: Known::default(), issuers, metrics, clock, changed };
        Ok(Self { inner: Some(Arc::new(inner)), nobody })
    }

    /// The gate of a service where everybody may do everything.
    pub fn open() -> Self {
        Self { inner: None, nobody: Caller::open() }
    }

    /// Keeps keys, revocations and issuers up to date until the process stops. It is not ready before all of them were read once.
    pub fn follow(&self, life: &Life, readiness: &Readiness, database: Database) {
        let Some(inner) = &self.inner else { return };
        let keys = readiness.condition("keys");
        life.spawn("keys", follow_keys(inner.clone(), database, keys, life.clone()));
        if !inner.issuers.is_empty() {
            let issuers = readiness.condition("issuers");
            life.spawn("issuers", follow_issuers(inner.clone(), issuers, life.clone()));
        }
    }

    /// Whether nobody is asked for a credential.
    pub fn is_open(&self) -> bool {
        self.inner.is_none()
    }

    /// Who sends a request with this head.
    ///
    /// # Errors
    /// When the credential is not valid, or there is none and it needs one.
    pub async fn admit(&self, headers: &HeaderMap) -> Result<Caller, Denial> {
        match self.answer(headers) {
            Answer::Now(answer) => answer,
            Answer::Later => match presented(headers)? {
                Some(Credential::Token(token)) => self.ask_issuers(token).await,
                // only a token is answered later
                Some(Credential::Key(_)) | None => Err(Denial::Missing),
            },
        }
    }

    /// Who presents this credential, by other ways than a head.
    ///
    /// # Errors
    /// When it is not valid.
    pub async fn identify(&self, text: &str) -> Result<Caller, Denial> {
        let Some(inner) = &self.inner else { return Ok(self.nobody.clone()) };
        let judged = match credential(text) {
            Ok(Credential::Token(token)) => match inner.judge_token(token) {
                Answer::Now(answer) => answer,
                Answer::Later => return self.ask_issuers(token).await,
            },
            Ok(key) => inner.judge_key(&key),
            Err(denial) => Err(denial),
        };
        inner.counted(judged)
    }

    /// The same without waiting: a token whose key is not known may be answered later.
    pub(crate) fn answer(&self, headers: &HeaderMap) -> Answer {
        let Some(inner) = &self.inner else { return Answer::Now(Ok(self.nobody.clone())) };
        let judged = match presented(headers) {
            Ok(None) => self.nobody(),
            Ok(Some(Credential::Token(token))) => match inner.judge_token(token) {
                Answer::Now(judged) => judged,
                Answer::Later => return Answer::Later,
            },
            Ok(Some(key)) => inner.judge_key(&key),
            Err(denial) => Err(denial),
        };
        Answer::Now(inner.counted(judged))
    }

    async fn ask_issuers(&self, token: &str) -> Result<Caller, Denial> {
        let Some(inner) = &self.inner else { return Ok(self.nobody.clone()) };
        // an issuer that does not answer has no new key
        let _ = tokio::time::timeout(KEY_WAIT, inner.issuers.refresh(UNKNOWN_KEY)).await;
        let judged = match inner.judge_token(token) {
            Answer::Now(judged) => judged,
            Answer::Later => Err(Denial::Foreign),
        };
        inner.counted(judged)
    }

    fn nobody(&self) -> Result<Caller, Denial> {
        let Grant { read, write, .. } = &*self.nobody.grant;
        if read.is_none() && write.is_none() { Err(Denial::Missing) } else { Ok(self.nobody.clone()) }
    }

    /// What somebody may do now who was let in before: keys change, tokens are revoked, both end.
    ///
    /// # Errors
    /// When it is nothing any more.
    pub fn recheck(&self, caller: &Caller) -> Result<Arc<Grant>, Denial> {
        let Some(inner) = &self.inner else { return Ok(caller.grant.clone()) };
        let (grant, now) = (&caller.grant, inner.now());
        match (&caller.proof, &grant.subject) {
            (Proof::Key(id, secret), _) => Ok(inner.known.recall(*id, secret, now)?),
            (Proof::Token(token), Subject::Viewer { issuer, subject }) => {
                if grant.is_over(now) {
                    Err(Denial::Expired)
                } else if inner.known.is_revoked(issuer, subject, token.as_deref(), now) {
                    Err(Denial::Revoked)
                } else {
                    Ok(grant.clone())
                }
            }
            (Proof::Token(_) | Proof::Nothing, _) => Ok(grant.clone()),
        }
    }

    /// Is told whenever keys or revocations have changed, so that those who are connected are checked again; never, where nobody
    /// is asked for a credential.
    pub fn changes(&self) -> Option<watch::Receiver<()>> {
        self.inner.as_ref().map(|inner| inner.changed.subscribe())
    }

    /// How long what somebody may do holds; none: for good.
    pub fn ends_in(&self, caller: &Caller) -> Option<Duration> {
        let (inner, end) = (self.inner.as_ref()?, caller.grant.expires_at?);
        Some(Duration::from_micros(u64::try_from(end.0.saturating_sub(inner.now().0)).unwrap_or(0)))
    }

    /// Whether a request brings no credential and needs one: a client of a socket may still say who it is.
    pub fn awaits(&self, headers: &HeaderMap) -> bool {
        matches!(presented(headers), Ok(None)) && self.nobody.reader().is_err()
    }
}

impl Inner {
    /// The time by the clock of Postgres.
    pub(crate) fn now(&self) -> UnixMicros {
        UnixMicros(self.clock.now_micros())
    }

    /// Something has changed.
    pub(crate) fn tell(&self) {
        self.changed.send_replace(());
    }

    fn judge_key(&self, credential: &Credential<'_>) -> Result<Caller, Denial> {
        let Credential::Key(key) = credential else { return Err(Denial::Malformed) };
        let (id, secret) = (key.id(), key.hash());
        let grant = self.known.authenticate(id, &secret, self.now())?;
        Ok(Caller { grant, proof: Proof::Key(id, secret) })
    }

    fn judge_token(&self, token: &str) -> Answer {
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
        Answer::Now(Ok(Caller { grant: Arc::new(grant), proof }))
    }

    fn counted<T>(&self, judged: Result<T, Denial>) -> Result<T, Denial> {
        judged.inspect_err(|denial| self.metrics.denials.of((*denial).into()).inc())
    }
}
