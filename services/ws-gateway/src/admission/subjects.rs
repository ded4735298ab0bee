//! How many connections and subscriptions the subjects have that are bounded. Each gateway counts its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use access::{Denial, Meter, Payer};
use ahash::AHashMap;
use parking_lot::Mutex;

/// The subjects that are connected and bounded.
#[derive(Clone, Default)]
pub(crate) struct Subjects {
    inner: Arc<Mutex<AHashMap<Payer, Connected>>>,
}

struct Connected {
    connections: u32,
    quota: Arc<Quota>,
}

/// What a subject's connections share.
#[derive(Debug, Default)]
pub(crate) struct Quota {
    subscriptions: AtomicU32,
}

/// What a session asks before it does what its client wants.
#[derive(Debug, Clone)]
pub struct Share {
    /// None: neither connections nor subscriptions are bounded.
    quota: Option<Arc<Quota>>,
    meter: Meter,
}

/// A subscription that is counted until it is dropped.
#[derive(Debug)]
pub(crate) struct SubscriptionPermit(Arc<Quota>);

/// A connection that is counted until it is dropped.
pub(crate) struct SubjectPermit {
    subjects: Subjects,
    payer: Payer,
    quota: Arc<Quota>,
}

/// A subject has as many as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

impl Subjects {
    /// Counts a connection of a subject; none if neither its connections nor its subscriptions are bounded.
    pub(crate) fn admit(&self, meter: &Meter) -> Result<Option<SubjectPermit>, TooMany> {
        let (payer, limits) = (meter.payer(), &meter.bounds().limits);
        if limits.connections.is_none() && limits.subscriptions.is_none() {
            return Ok(None);
        }
        let mut subjects = self.inner.lock();
        let known = subjects.get(&payer).map_or(0, |connected| connected.connections);
        if limits.connections.is_some_and(|most| known >= most) {
            return Err(TooMany);
        }
        let new = || Connected { connections: 0, quota: Arc::default() };
        let connected = subjects.entry(payer).or_insert_with(new);
        connected.connections += 1;
        let quota = connected.quota.clone();
        Ok(Some(SubjectPermit { subjects: self.clone(), payer, quota }))
    }
}

impl Drop for SubjectPermit {
    fn drop(&mut self) {
        let mut subjects = self.subjects.inner.lock();
        if let Some(connected) = subjects.get_mut(&self.payer) {
            connected.connections -= 1;
            if connected.connections == 0 {
                subjects.remove(&self.payer);
            }
        }
    }
}

impl Quota {
    fn subscribe(self: &Arc<Self>, most: u32) -> Option<SubscriptionPermit> {
        let more = |count: u32| (count < most).then_some(count + 1);
        let taken = self.subscriptions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.ok().map(|_| SubscriptionPermit(self.clone()))
    }
}

impl Share {
    /// What a connection with this permit may take.
    pub(crate) fn new(permit: Option<&SubjectPermit>, meter: Meter) -> Self {
        Self { quota: permit.map(|permit| permit.quota.clone()), meter }
    }

    /// Counts a subscription; none if they are not bounded.
    pub(crate) fn subscribe(&self) -> Result<Option<SubscriptionPermit>, TooMany> {
        let (Some(quota), Some(most)) = (&self.quota, self.meter.bounds().limits.subscriptions) else {
            return Ok(None);
        };
        quota.subscribe(most).map(Some).ok_or(TooMany)
    }

    /// Takes a command out of the rate.
    pub(crate) fn command(&self, now: Instant) -> Result<(), Denial> {
        self.meter.take_command(now)
    }

    /// Takes so many rows of history out of the rate.
    pub(crate) fn rows(&self, count: usize, now: Instant) -> Result<(), Denial> {
        self.meter.take_rows(count, now)
    }
}

impl Drop for SubscriptionPermit {
    fn drop(&mut self) {
        self.0.subscriptions.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use access::{Bounds, Caller, Defaults, Gate};
    use auth::Limits;

    use super::*;

    /// The meter of a client at this address, where each may have so many.
    fn meter(last: u8, connections: Option<u32>, subscriptions: Option<u32>) -> Meter {
        let limits = Limits { connections, subscriptions, ..Limits::default() };
        let address = Bounds { limits, ..Bounds::default() };
        let gate = Gate::open_with(Defaults { address, ..Defaults::default() });
        gate.meter(&Caller::open().at(Some([192, 0, 2, last].into())))
    }

    #[test]
    fn connections_and_subscriptions_are_counted_by_subject_and_given_back() {
        let subjects = Subjects::default();
        let (one, other) = (meter(1, Some(2), Some(3)), meter(2, Some(1), None));
        let first = subjects.admit(&one).unwrap().unwrap();
        let second = subjects.admit(&one).unwrap().unwrap();
        assert_eq!(subjects.admit(&one).err(), Some(TooMany));
        let third = subjects.admit(&other).unwrap().unwrap();
        assert!(subjects.admit(&meter(3, None, None)).unwrap().is_none());
        let share = |permit| Share::new(Some(permit), one.clone());
        let taken: Vec<_> =
            [&first, &second, &first].iter().map(|permit| share(permit).subscribe()).collect();
        assert!(taken.iter().all(|taken| matches!(taken, Ok(Some(_)))));
        assert!(share(&second).subscribe().is_err(), "all connections share them");
        drop(taken);
        assert!(share(&second).subscribe().is_ok());
        drop(first);
        assert!(subjects.admit(&one).unwrap().is_some());
        drop((second, third));
        assert!(subjects.inner.lock().is_empty());
    }
}
