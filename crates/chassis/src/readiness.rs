//! Whether the service should be sent work: named conditions that must all hold.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tracing::{info, warn};

use crate::life::Life;

/// The service's conditions, cheap to clone. Ready means: there are conditions, every one holds,
/// and no stop has begun.
#[derive(Clone)]
pub struct Readiness {
    life: Life,
    /// Each condition's reason for not holding; `None` holds.
    conditions: Arc<Mutex<BTreeMap<&'static str, Option<String>>>>,
}

/// One named condition; it begins as failing with the reason `starting`.
#[derive(Clone)]
pub struct Condition {
    name: &'static str,
    readiness: Readiness,
}

/// How often a condition is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// While it holds.
    pub holding: Duration,
    /// While it does not.
    pub failing: Duration,
}

/// What `/readyz` says.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) ready: bool,
    pub(crate) failing: BTreeMap<&'static str, String>,
}

impl Readiness {
    pub fn new(life: &Life) -> Self {
        Self { life: life.clone(), conditions: Arc::default() }
    }

    /// The condition of this name, made when first asked for.
    pub fn condition(&self, name: &'static str) -> Condition {
        self.lock().entry(name).or_insert_with(|| Some("starting".to_owned()));
        Condition { name, readiness: self.clone() }
    }

    pub fn is_ready(&self) -> bool {
        self.report().ready
    }

    pub(crate) fn report(&self) -> Report {
        let conditions = self.lock().clone();
        // the admin port is up before the service has said what it needs
        let starting = conditions.is_empty().then(|| ("service", "starting".to_owned()));
        let failing = conditions.into_iter().filter_map(|(name, why)| Some((name, why?)));
        let mut failing: BTreeMap<_, _> = failing.chain(starting).collect();
        if self.life.is_stopping() {
            failing.insert("stopping", "the service takes no new work".to_owned());
        }
        Report { ready: failing.is_empty(), failing }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Option<String>>> {
        self.conditions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Condition {
    /// Sets the condition from an outcome; a change is logged, a repetition is not.
    pub fn set<E: ToString>(&self, outcome: Result<(), E>) {
        let new = outcome.err().map(|why| why.to_string());
        let old = self.readiness.lock().insert(self.name, new.clone()).flatten();
        match (old, new) {
            (Some(_), None) => info!(condition = self.name, "condition holds"),
            (old, Some(why)) if old.as_ref() != Some(&why) => {
                warn!(condition = self.name, why, "condition fails");
            }
            _ => {}
        }
    }

    /// Looks until it holds.
    pub async fn until_held<E: ToString>(&self, look: impl AsyncFn() -> Result<(), E>, pace: Pace) {
        loop {
            let outcome = look().await;
            let held = outcome.is_ok();
            self.set(outcome);
            if held {
                return;
            }
            tokio::time::sleep(pace.failing).await;
        }
    }

    /// Looks at once, and again and again until the soft stop.
    pub async fn watch<E: ToString>(self, look: impl AsyncFn() -> Result<(), E>, pace: Pace) {
        let life = self.readiness.life.clone();
        loop {
            let outcome = look().await;
            let pause = if outcome.is_ok() { pace.holding } else { pace.failing };
            self.set(outcome);
            if life.soft().run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    pub fn hold(&self) {
        self.set(Ok::<(), String>(()));
    }

    pub fn fail(&self, why: impl Into<String>) {
        self.set(Err(why.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_has_named_no_condition_is_not_ready() {
        let readiness = Readiness::new(&Life::new());
        assert!(!readiness.is_ready());
        readiness.condition("one").hold();
        assert!(readiness.is_ready());
    }

    #[test]
    fn a_service_is_ready_when_every_condition_holds() {
        let readiness = Readiness::new(&Life::new());
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
    async fn a_condition_is_looked_at_until_it_holds_and_then_until_the_stop() {
        let pace = Pace { holding: Duration::from_secs(5), failing: Duration::from_millis(250) };
        let (life, looks) = (Life::new(), std::sync::atomic::AtomicUsize::new(0));
        let readiness = Readiness::new(&life);
        let condition = readiness.condition("schema");
        let began = tokio::time::Instant::now();
        let look = async || match looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 | 1 | 5 => Err("too old"),
            _ => Ok(()),
        };
        condition.until_held(look, pace).await;
        assert_eq!(began.elapsed(), 2 * pace.failing);
        let stop = async {
            tokio::time::sleep(2 * pace.holding + pace.failing / 2).await;
            assert!(!readiness.is_ready(), "a look found it failing");
            tokio::time::sleep(pace.failing).await;
            assert!(readiness.is_ready(), "and the next came soon");
            life.stop_soft();
        };
        let watch = readiness.condition("schema").watch(look, pace);
        tokio::join!(watch, stop);
    }

    #[test]
    fn a_condition_asked_for_twice_is_one() {
        let readiness = Readiness::new(&Life::new());
        readiness.condition("database").hold();
        let again = readiness.condition("database");
        assert!(readiness.is_ready());
        again.fail("gone");
        assert!(!readiness.is_ready());
    }

    #[test]
    fn a_soft_stop_makes_the_service_unready_at_once() {
        let life = Life::new();
        let readiness = Readiness::new(&life);
        readiness.condition("one").hold();
        assert!(readiness.is_ready());
        life.stop_soft();
        assert!(!readiness.is_ready());
        assert!(readiness.report().failing.contains_key("stopping"));
    }
}
