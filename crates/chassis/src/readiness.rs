//! Readiness: named conditions that must all hold, except for faults that all replicas share.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use instruments::{IntGaugeVec, Registry};
use serde::Serialize;
use tracing::{info, warn};

use crate::chain::chain;
use crate::life::Life;

/// The service's conditions, cheap to clone. Ready means: there are conditions, every one holds or is only degraded,
/// and no stop has begun.
#[derive(Clone)]
pub struct Readiness {
    life: Life,
    conditions: Arc<Mutex<BTreeMap<&'static str, State>>>,
    metrics: Metrics,
}

instruments::metrics! {
    /// The conditions, as they are now.
    struct Metrics("rowcast_") {
        /// 1 while the condition holds, by condition.
        ready: IntGaugeVec = "ready", by = ["condition"];
        /// 1 while a dependency shared by all replicas is unavailable, by condition.
        degraded: IntGaugeVec = "degraded", by = ["condition"];
    }
}

/// A named condition; it begins as failing with the reason `starting`.
#[derive(Clone)]
pub struct Condition {
    name: &'static str,
    readiness: Readiness,
}

struct State {
    /// Whether it ever held.
    held: bool,
    fault: Option<Fault>,
}

/// Why a condition does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A fault of this replica alone: it is not ready.
    Own(String),
    /// A fault of all replicas: one that has been ready stays ready, and is reported as degraded.
    Shared(String),
}

impl Fault {
    /// An error with its sources; `shared` if all replicas have it.
    pub fn of(error: &(dyn Error + 'static), shared: bool) -> Self {
        let why = chain(error).to_string();
        if shared { Self::Shared(why) } else { Self::Own(why) }
    }

    fn why(&self) -> &str {
        let (Self::Own(why) | Self::Shared(why)) = self;
        why
    }
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Self::Own(why)
    }
}

impl From<&str> for Fault {
    fn from(why: &str) -> Self {
        Self::Own(why.to_owned())
    }
}

impl From<Infallible> for Fault {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// How often a condition is checked.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// While it holds.
    pub holding: Duration,
    /// While it does not.
    pub failing: Duration,
}

/// The result of `/readyz`.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) ready: bool,
    pub(crate) failing: BTreeMap<&'static str, String>,
    pub(crate) degraded: BTreeMap<&'static str, String>,
}

impl Readiness {
    /// Without conditions, and therefore not ready.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub fn new(life: &Life, registry: &Registry) -> instruments::Result<Self> {
        Ok(Self { life: life.clone(), conditions: Arc::default(), metrics: Metrics::register(registry)? })
    }

    /// The condition of this name, created on first use.
    pub fn condition(&self, name: &'static str) -> Condition {
        let starting = || State { held: false, fault: Some(Fault::Own("starting".to_owned())) };
        self.lock().entry(name).or_insert_with(starting);
        for gauge in [&self.metrics.ready, &self.metrics.degraded] {
            gauge.with_label_values(&[name]);
        }
        Condition { name, readiness: self.clone() }
    }

    /// The result of `/readyz`.
    pub fn is_ready(&self) -> bool {
        self.report().ready
    }

    pub(crate) fn report(&self) -> Report {
        let (mut failing, mut degraded) = (BTreeMap::new(), BTreeMap::new());
        for (name, state) in self.lock().iter() {
            if let Some(fault) = &state.fault {
                let list = if state.is_degraded() { &mut degraded } else { &mut failing };
                list.insert(*name, fault.why().to_owned());
            }
        }
        // the admin port is up before the service has registered its conditions
        if self.lock().is_empty() {
            failing.insert("service", "starting".to_owned());
        }
        if self.life.is_stopping() {
            failing.insert("stopping", "the service is stopping".to_owned());
        }
        Report { ready: failing.is_empty(), failing, degraded }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, State>> {
        self.conditions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_degraded(&self) -> bool {
        self.held && matches!(self.fault, Some(Fault::Shared(_)))
    }
}

impl Condition {
    /// Sets the condition from an outcome; a change is logged, a repetition is not.
    pub fn set<E: Into<Fault>>(&self, outcome: Result<(), E>) {
        let new = outcome.err().map(Into::into);
        let mut conditions = self.readiness.lock();
        let Some(state) = conditions.get_mut(self.name) else { return };
        state.held |= new.is_none();
        let old = std::mem::replace(&mut state.fault, new.clone());
        let degraded = state.is_degraded();
        // under the lock, so that the last log line is the current state
        let Metrics { ready, degraded: is_degraded } = &self.readiness.metrics;
        ready.with_label_values(&[self.name]).set(new.is_none().into());
        is_degraded.with_label_values(&[self.name]).set(degraded.into());
        drop(conditions);
        match (old, new) {
            (Some(_), None) => info!(condition = self.name, "condition holds"),
            (old, Some(fault)) if old.as_ref() != Some(&fault) => {
                warn!(condition = self.name, why = fault.why(), degraded, "condition fails");
            }
            _ => {}
        }
    }

    /// Checks until it holds.
    pub async fn until_held<E: Into<Fault>>(&self, check: impl AsyncFn() -> Result<(), E>, pace: Pace) {
        loop {
            let outcome = check().await;
            let held = outcome.is_ok();
            self.set(outcome);
            if held {
                return;
            }
            tokio::time::sleep(pace.failing).await;
        }
    }

    /// Checks at once, and repeatedly until the soft stop.
    pub async fn watch<E: Into<Fault>>(self, check: impl AsyncFn() -> Result<(), E>, pace: Pace) {
        let life = self.readiness.life.clone();
        loop {
            let outcome = check().await;
            let pause = if outcome.is_ok() { pace.holding } else { pace.failing };
            self.set(outcome);
            if life.soft().run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// Marks the condition as holding.
    pub fn hold(&self) {
        self.set(Ok::<(), Infallible>(()));
    }

    /// Marks the condition as failing for this reason.
    pub fn fail(&self, why: impl Into<Fault>) {
        self.set(Err(why.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readiness(life: &Life) -> Readiness {
        Readiness::new(life, &Registry::new()).unwrap()
    }

    #[test]
    fn a_service_without_conditions_is_not_ready() {
        let readiness = readiness(&Life::new());
        assert!(!readiness.is_ready());
        readiness.condition("one").hold();
        assert!(readiness.is_ready());
    }

    #[test]
    fn a_service_is_ready_when_every_condition_holds() {
        let readiness = readiness(&Life::new());
        let database = readiness.condition("database");
        let schema = readiness.condition("schema");
        assert_eq!(readiness.report().failing["database"], "starting");
        database.hold();
        assert!(!readiness.is_ready(), "schema is still starting");
        schema.set(Ok::<(), String>(()));
        assert!(readiness.is_ready());
        database.fail("connection refused");
        let report = readiness.report();
        assert!(!report.ready);
        assert_eq!(report.failing, BTreeMap::from([("database", "connection refused".to_owned())]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_condition_is_checked_until_it_holds_and_then_until_the_stop() {
        let pace = Pace { holding: Duration::from_secs(5), failing: Duration::from_millis(250) };
        let (life, checks) = (Life::new(), std::sync::atomic::AtomicUsize::new(0));
        let readiness = readiness(&life);
        let condition = readiness.condition("schema");
        let began = tokio::time::Instant::now();
        let check = async || match checks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 | 1 | 5 => Err("too old"),
            _ => Ok(()),
        };
        condition.until_held(check, pace).await;
        assert_eq!(began.elapsed(), 2 * pace.failing);
        let stop = async {
            tokio::time::sleep(2 * pace.holding + pace.failing / 2).await;
            assert!(!readiness.is_ready(), "a check failed");
            tokio::time::sleep(pace.failing).await;
            assert!(readiness.is_ready(), "and the next followed soon");
            life.stop_soft();
        };
        let watch = readiness.condition("schema").watch(check, pace);
        tokio::join!(watch, stop);
    }

    #[test]
    fn a_shared_fault_only_degrades_a_service_that_has_been_ready() {
        let readiness = readiness(&Life::new());
        let database = readiness.condition("database");
        let unreachable = || Fault::Shared("connection refused".to_owned());
        database.fail(unreachable());
        assert!(!readiness.is_ready(), "the condition has never held");
        database.hold();
        database.fail(unreachable());
        let report = readiness.report();
        assert!(report.ready && report.failing.is_empty());
        assert_eq!(report.degraded, BTreeMap::from([("database", "connection refused".to_owned())]));
        let shown = || {
            let Metrics { ready, degraded } = &readiness.metrics;
            [ready, degraded].map(|gauge| gauge.with_label_values(&["database"]).get())
        };
        assert_eq!(shown(), [0, 1]);
        database.fail("the schema is too old");
        assert!(!readiness.is_ready());
        assert_eq!(shown(), [0, 0]);
        database.hold();
        assert_eq!(shown(), [1, 0]);
    }

    #[test]
    fn a_condition_requested_twice_is_one() {
        let readiness = readiness(&Life::new());
        readiness.condition("database").hold();
        let again = readiness.condition("database");
        assert!(readiness.is_ready());
        again.fail("gone");
        assert!(!readiness.is_ready());
    }

    #[test]
    fn a_soft_stop_makes_the_service_unready_at_once() {
        let life = Life::new();
        let readiness = readiness(&life);
        readiness.condition("one").hold();
        assert!(readiness.is_ready());
        life.stop_soft();
        assert!(!readiness.is_ready());
        assert!(readiness.report().failing.contains_key("stopping"));
    }

    #[test]
    fn a_fault_is_reported_with_its_sources() {
        #[derive(Debug, thiserror::Error)]
        #[error("the database failed")]
        struct Failed(#[source] std::io::Error);
        let readiness = readiness(&Life::new());
        let condition = readiness.condition("database");
        condition.hold();
        condition.fail(Fault::of(&Failed(std::io::Error::other("connection refused")), true));
        let why = &readiness.report().degraded["database"];
        assert_eq!(why, "the database failed: connection refused");
    }
}
