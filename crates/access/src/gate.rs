//! The one question that every door asks.

use std::{path::Path, sync::Arc, time::Duration};

use auth::{Credential, Grant, RetryAfter, Scope};
use chassis::{Clock, Life, Readiness};
use http::HeaderMap;
use store::Database;
use tokio::sync::watch;

use crate::{
    caller::Caller,
    config::AuthConfig,
    denial::Denial,
    follow::{follow_issuers, follow_keys},
    holder::Holder,
    issuers::{Issuers, UNKNOWN_KEY},
    judge::{Answer, Judge},
    meters::{Unit, seconds},
    metrics::Metrics,
    presented::{credential, presented},
};

/// How long a request waits for a key that an issuer may have just made.
const KEY_WAIT: Duration = Duration::from_secs(3);

/// Says what a request may do.
#[derive(Clone)]
pub struct Gate {
    /// None: everybody may do everything.
    judge: Option<Arc<Judge>>,
    /// Who comes without a credential.
    nobody: Caller,
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
        let judge = Judge::new(Issuers::load(Path::new(&config.issuers_file))?, metrics, clock);
        Ok(Self { judge: Some(Arc::new(judge)), nobody })
    }

    /// The gate of a service where everybody may do everything.
    pub fn open() -> Self {
        Self { judge: None, nobody: Caller::open() }
    }

    /// Keeps keys, revocations and issuers up to date until the process stops. It is not ready before all of them were read once.
    pub fn follow(&self, life: &Life, readiness: &Readiness, database: Database) {
        let Some(judge) = &self.judge else { return };
        let keys = readiness.condition("keys");
        life.spawn("keys", follow_keys(judge.clone(), database, keys, life.clone()));
        if !judge.issuers.is_empty() {
            let issuers = readiness.condition("issuers");
            life.spawn("issuers", follow_issuers(judge.clone(), issuers, life.clone()));
        }
    }

    /// Whether nobody is asked for a credential.
    pub fn is_open(&self) -> bool {
        self.judge.is_none()
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
        let Some(judge) = &self.judge else { return Ok(self.nobody.clone()) };
        let judged = match credential(text) {
            Ok(Credential::Token(token)) => match judge.judge_token(token) {
                Answer::Now(answer) => answer,
                Answer::Later => return self.ask_issuers(token).await,
            },
            Ok(key) => judge.judge_key(&key),
            Err(denial) => Err(denial),
        };
        judge.counted(judged)
    }

    /// The same without waiting: a token whose key is not known may be answered later.
    pub(crate) fn answer(&self, headers: &HeaderMap) -> Answer {
        let Some(judge) = &self.judge else { return Answer::Now(Ok(self.nobody.clone())) };
        let judged = match presented(headers) {
            Ok(None) => self.nobody(),
            Ok(Some(Credential::Token(token))) => match judge.judge_token(token) {
                Answer::Now(judged) => judged,
                Answer::Later => return Answer::Later,
            },
            Ok(Some(key)) => judge.judge_key(&key),
            Err(denial) => Err(denial),
        };
        Answer::Now(judge.counted(judged))
    }

    async fn ask_issuers(&self, token: &str) -> Result<Caller, Denial> {
        let Some(judge) = &self.judge else { return Ok(self.nobody.clone()) };
        // an issuer that does not answer has no new key
        let _ = tokio::time::timeout(KEY_WAIT, judge.issuers.refresh(UNKNOWN_KEY)).await;
        let judged = match judge.judge_token(token) {
            Answer::Now(judged) => judged,
            Answer::Later => Err(Denial::Foreign),
        };
        judge.counted(judged)
    }

    /// Takes a request out of the caller's rate.
    ///
    /// # Errors
    /// When there is none left.
    pub fn take_request(&self, caller: &Caller) -> Result<(), Denial> {
        self.take(caller, Unit::Requests, 1)
    }

    /// Takes so many readings out of the caller's rate, before they are stored.
    ///
    /// # Errors
    /// When there are not so many left.
    pub fn take_readings(&self, caller: &Caller, count: usize) -> Result<(), Denial> {
        self.take(caller, Unit::Readings, count)
    }

    fn take(&self, caller: &Caller, unit: Unit, cost: usize) -> Result<(), Denial> {
        let Some(judge) = &self.judge else { return Ok(()) };
        judge.counted(judge.meters.take(&caller.grant, unit, cost).map_err(|retry| match retry {
            RetryAfter::Wait(time) => Denial::TooMany(u32::try_from(seconds(time)).unwrap_or(u32::MAX)),
            RetryAfter::Never => Denial::TooManyAtOnce,
        }))
    }

    /// Writes what the caller's rates allow and what is left of it.
    pub(crate) fn write_rates(&self, caller: &Caller, headers: &mut HeaderMap) {
        if let Some(judge) = &self.judge {
            judge.meters.write(&caller.grant, headers);
        }
    }

    /// There is no credential, and one is needed.
    pub fn missing(&self) -> Denial {
        match &self.judge {
            Some(judge) => judge.metrics.count(Denial::Missing),
            None => Denial::Missing,
        }
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
        let Some(judge) = &self.judge else { return Ok(caller.grant.clone()) };
        judge.recheck(caller)
    }

    /// What is kept of a caller for whom a ticket is made.
    ///
    /// # Errors
    /// When there is no credential that it could stand for, or it may not read, or has too many of them.
    pub fn holder(&self, caller: &Caller) -> Result<Holder, Denial> {
        caller.reader()?;
        let holder = Holder::of(caller).ok_or(Denial::Missing)?;
        self.take(caller, Unit::Tickets, 1)?;
        Ok(holder)
    }

    /// Who comes with a ticket that was made for this holder, if it may still do anything.
    ///
    /// # Errors
    /// When it may not, or no such ticket is known.
    pub fn readmit(&self, holder: Option<Holder>) -> Result<Caller, Denial> {
        let Some(judge) = &self.judge else { return Ok(self.nobody.clone()) };
        let caller = holder.and_then(Holder::into_caller).ok_or(Denial::Ticket);
        judge.counted(caller.and_then(|caller| {
            let grant = judge.recheck(&caller)?;
            Ok(Caller { grant, ..caller })
        }))
    }

    /// Is told whenever keys or revocations have changed, so that those who are connected are checked again; never, where nobody
    /// is asked for a credential.
    pub fn changes(&self) -> Option<watch::Receiver<()>> {
        self.judge.as_ref().map(|judge| judge.changes())
    }

    /// How long what somebody may do holds; none: for good.
    pub fn ends_in(&self, caller: &Caller) -> Option<Duration> {
        let (judge, end) = (self.judge.as_ref()?, caller.grant.expires_at?);
        Some(Duration::from_micros(u64::try_from(end.0.saturating_sub(judge.now().0)).unwrap_or(0)))
    }

    /// Whether a request brings no credential and needs one: a client of a socket may still say who it is.
    pub fn awaits(&self, headers: &HeaderMap) -> bool {
        matches!(presented(headers), Ok(None)) && self.nobody.reader().is_err()
    }
}
