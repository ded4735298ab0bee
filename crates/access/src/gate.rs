//! The one question that every door asks.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use auth::{Credential, Grant, Scope};
use chassis::{Clock, Life, Readiness};
use http::HeaderMap;
use store::Database;
use tokio::sync::watch;

use crate::{
    bounds::Defaults,
    caller::Caller,
    config::AuthConfig,
    denial::Denial,
    follow::{follow_issuers, follow_keys, forget_silent},
    holder::Holder,
    issuers::{Issuers, UNKNOWN_KEY},
    judge::{Answer, Judge},
    meter::{Meter, Metering},
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
    /// What is counted of all who come.
    metering: Arc<Metering>,
}

impl Gate {
    /// The gate of a service, with what those may do who have no limits of their own. Until [`Gate::follow`] has read the device
    /// keys, it knows none.
    ///
    /// # Errors
    /// When the file of issuers cannot be used.
    pub fn new(
        config: &AuthConfig,
        clock: Clock,
        metrics: Metrics,
        defaults: Defaults,
    ) -> Result<Self, String> {
        let metering = Arc::new(Metering::new(defaults, Some(metrics.clone())));
        if !config.enabled {
            return Ok(Self { judge: None, nobody: Caller::open(), metering });
        }
        let scope = |patterns| Scope::parse(patterns).map_err(|error| error.to_string());
        let nobody = Caller::anonymous(scope(&config.anonymous_read)?, scope(&config.anonymous_write)?);
        let judge = Judge::new(Issuers::load(Path::new(&config.issuers_file))?, metrics, clock);
        Ok(Self { judge: Some(Arc::new(judge)), nobody, metering })
    }

    /// The gate of a service where everybody may do everything.
    pub fn open() -> Self {
        Self::open_with(Defaults::default())
    }

    /// The same with limits.
    pub fn open_with(defaults: Defaults) -> Self {
        let metering = Arc::new(Metering::new(defaults, None));
        Self { judge: None, nobody: Caller::open(), metering }
    }

    /// Keeps keys, revocations and issuers up to date until the process stops. It is not ready before all of them were read once.
    pub fn follow(&self, life: &Life, readiness: &Readiness, database: Database) {
        if self.judge.is_some() || self.metering.has_defaults() {
            life.spawn("rates", forget_silent(self.metering.clone(), life.clone()));
        }
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
        self.meter(caller).take_request(Instant::now())
    }

    /// How much the caller may do, and what is left of it.
    pub fn meter(&self, caller: &Caller) -> Meter {
        self.metering.of(caller)
    }

    /// Takes so many readings out of the caller's rate, before they are stored.
    ///
    /// # Errors
    /// When there are not so many left: nothing is taken.
    pub fn take_readings(&self, caller: &Caller, count: usize) -> Result<(), Denial> {
        self.meter(caller).take_readings(count, Instant::now())
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
        self.meter(caller).take_ticket(Instant::now())?;
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
            Ok(Caller::new(grant, caller.proof))
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
