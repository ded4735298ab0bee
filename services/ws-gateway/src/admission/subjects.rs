//! How many connections and subscriptions the subjects have whose grants bound them. Each gateway counts its own.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use ahash::AHashMap;
use auth::{Grant, Subject};
use parking_lot::Mutex;

/// The subjects that are connected and bounded.
#[derive(Clone, Default)]
pub(crate) struct Subjects {
    inner: Arc<Mutex<AHashMap<Subject, Connected>>>,
}

struct Connected {
    connections: u32,
    quota: Arc<Quota>,
}

/// What a subject's connections share.
#[derive(Debug, Default)]
pub struct Quota {
    subscriptions: AtomicU32,
}

/// A subscription that is counted until it is dropped.
#[derive(Debug)]
pub(crate) struct SubscriptionPermit(Arc<Quota>);

/// A connection that is counted until it is dropped.
pub(crate) struct SubjectPermit {
    subjects: Subjects,
    subject: Subject,
    quota: Arc<Quota>,
}

/// A subject has as many connections as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

impl Subjects {
    /// Counts a connection of the grant's subject; none if nothing of it is bounded.
    pub(crate) fn admit(&self, grant: &Grant) -> Result<Option<SubjectPermit>, TooMany> {
        let limits = &grant.limits;
        if limits.connections.is_none() && limits.subscriptions.is_none() {
            return Ok(None);
        }
        let mut subjects = self.inner.lock();
        let known = subjects.get(&grant.subject).map_or(0, |connected| connected.connections);
        if limits.connections.is_some_and(|most| known >= most) {
            return Err(TooMany);
        }
        let new = || Connected { connections: 0, quota: Arc::default() };
        let connected = subjects.entry(grant.subject.clone()).or_insert_with(new);
        connected.connections += 1;
        let (subject, quota) = (grant.subject.clone(), connected.quota.clone());
        Ok(Some(SubjectPermit { subjects: self.clone(), subject, quota }))
    }
}

impl SubjectPermit {
    /// What the subject's connections share.
    pub(crate) fn quota(&self) -> Arc<Quota> {
        self.quota.clone()
    }
}

impl Drop for SubjectPermit {
    fn drop(&mut self) {
        let mut subjects = self.subjects.inner.lock();
        if let Some(connected) = subjects.get_mut(&self.subject) {
            connected.connections -= 1;
            if connected.connections == 0 {
                subjects.remove(&self.subject);
            }
        }
    }
}

impl Quota {
    /// Counts a subscription, if there are fewer than `most`.
    pub(crate) fn subscribe(self: &Arc<Self>, most: u32) -> Option<SubscriptionPermit> {
        let more = |count: u32| (count < most).then_some(count + 1);
        let taken = self.subscriptions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.ok().map(|_| SubscriptionPermit(self.clone()))
    }
}

impl Drop for SubscriptionPermit {
    fn drop(&mut self) {
        self.0.subscriptions.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use auth::{Limits, Scope};

    use super::*;

    fn grant(id: &str, connections: Option<u32>, subscriptions: Option<u32>) -> Grant {
        let limits = Limits { connections, subscriptions, ..Limits::default() };
        let subject = Subject::Key(id.parse().unwrap());
        Grant { subject, write: Scope::none(), read: Scope::all(), limits, expires_at: None }
    }

    #[test]
    fn connections_and_subscriptions_are_counted_by_subject_and_given_back() {
        let subjects = Subjects::default();
        let (one, other) = (grant("000000000001", Some(2), Some(3)), grant("000000000002", Some(1), None));
        let first = subjects.admit(&one).unwrap().unwrap();
        let second = subjects.admit(&one).unwrap().unwrap();
        assert_eq!(subjects.admit(&one).err(), Some(TooMany));
        let third = subjects.admit(&other).unwrap().unwrap();
        assert!(subjects.admit(&grant("000000000003", None, None)).unwrap().is_none());
        let taken: Vec<_> =
            [&first, &second, &first].iter().map(|permit| permit.quota().subscribe(3)).collect();
        assert!(taken.iter().all(Option::is_some));
        assert!(second.quota().subscribe(3).is_none(), "all connections share them");
        drop(taken);
        assert!(second.quota().subscribe(3).is_some());
        drop(first);
        assert!(subjects.admit(&one).unwrap().is_some());
        drop((second, third));
        assert!(subjects.inner.lock().is_empty());
    }
}
