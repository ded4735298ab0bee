//! Whether the service should be sent work: named conditions that must all hold.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
