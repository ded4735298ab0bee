//! Who is connected: permits for connections, and the mailboxes of all of them.

use std::{net::IpAddr, sync::Arc};

use ahash::AHashMap;
use chassis::Condition;
use instruments::IntGauge;
use parking_lot::Mutex;

use crate::fanout::{hub::Hub, mailbox::Mailbox};

/// A gateway that is so full says that it is not ready, so that new clients are sent elsewhere.
const UNREADY_AT: f64 = 0.95;

/// All connections of a gateway.
#[derive(Clone)]
pub(crate) struct Roster {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    limit: usize,
    limit_per_address: usize,
    hub: Hub,
    room: Condition,
    open: IntGauge,
}

#[derive(Default)]
struct State {
    mailboxes: AHashMap<u64, Arc<Mailbox>>,
    by_address: AHashMap<IpAddr, usize>,
}

/// What has as many connections as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// The gateway.
    Gateway,
    /// The client's address.
    Address,
}

/// Permission to be connected. However the connection ends, dropping it gives it back, and ends the session's subscriptions in
/// the hub.
pub(crate) struct ConnectionPermit {
    /// What comes for the connection.
    pub(crate) mailbox: Arc<Mailbox>,
    address: IpAddr,
    roster: Roster,
}

impl Roster {
    /// Permits for so many, in all and from one address. `room` fails while it is nearly full.
    pub(crate) fn new(
        (limit, limit_per_address): (usize, usize),
        hub: Hub,
        room: Condition,
        open: IntGauge,
    ) -> Self {
        room.hold();
        let state = Mutex::default();
        Self { inner: Arc::new(Inner { state, limit, limit_per_address, hub, room, open }) }
    }

    /// Takes a permit.
    pub(crate) fn admit(&self, address: IpAddr) -> Result<ConnectionPermit, Full> {
        let mut state = self.inner.state.lock();
        if state.mailboxes.len() >= self.inner.limit {
            return Err(Full::Gateway);
        }
        let own = state.by_address.entry(address).or_default();
        if *own >= self.inner.limit_per_address {
            return Err(Full::Address);
        }
        *own += 1;
        let mailbox = Mailbox::new();
        state.mailboxes.insert(mailbox.session, mailbox.clone());
        self.note(state.mailboxes.len(), 1);
        Ok(ConnectionPermit { mailbox, address, roster: self.clone() })
    }

    /// How many connections there may be.
    pub(crate) fn limit(&self) -> usize {
        self.inner.limit
    }

    /// The mailboxes of all open connections.
    pub(crate) fn all(&self) -> Vec<Arc<Mailbox>> {
        self.inner.state.lock().mailboxes.values().cloned().collect()
    }

    fn leave(&self, session: u64, address: IpAddr) {
        let mut state = self.inner.state.lock();
        state.mailboxes.remove(&session);
        if let Some(own) = state.by_address.get_mut(&address) {
            *own -= 1;
            if *own == 0 {
                state.by_address.remove(&address);
            }
        }
        self.note(state.mailboxes.len(), -1);
    }

    /// After a change by one, under the lock, so that the last value set is the true one.
    fn note(&self, open: usize, change: i64) {
        self.inner.open.set(i64::try_from(open).unwrap_or(i64::MAX));
        let threshold = (self.inner.limit as f64 * UNREADY_AT).ceil() as usize;
        match change {
            1 if open == threshold => self.inner.room.fail("more than 95 % of limits.connections are open"),
            -1 if open + 1 == threshold => self.inner.room.hold(),
            _ => {}
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.roster.inner.hub.leave(self.mailbox.session);
        self.roster.leave(self.mailbox.session, self.address);
    }
}

#[cfg(test)]
mod tests {
    use chassis::{Life, Readiness};
    use instruments::Registry;
    use wire::{Filter, Position};

    use super::*;

    #[test]
    fn permits_are_bounded_in_all_and_by_address_and_are_given_back() {
        let readiness = Readiness::new(&Life::new(), &Registry::new()).unwrap();
        let open = IntGauge::new("open", "open").unwrap();
        let roster = Roster::new((20, 15), Hub::new(0), readiness.condition("room"), open.clone());
        let address = |last: u8| IpAddr::from([127, 0, 0, last]);
        let mut permits: Vec<ConnectionPermit> = (0..15).map(|_| roster.admit(address(1)).unwrap()).collect();
        assert_eq!(roster.admit(address(1)).err(), Some(Full::Address));
        permits.extend((0..4).map(|_| roster.admit(address(2)).unwrap()));
        assert!(!readiness.is_ready(), "19 of 20");
        permits.push(roster.admit(address(2)).unwrap());
        assert_eq!(roster.admit(address(3)).err(), Some(Full::Gateway));
        assert_eq!((roster.all().len(), open.get()), (20, 20));
        permits.truncate(18);
        assert!(readiness.is_ready());
        drop(permits);
        assert_eq!(open.get(), 0);
        assert!(roster.inner.state.lock().by_address.is_empty());
    }

    #[test]
    fn a_dropped_permit_leaves_the_hub() {
        let readiness = Readiness::new(&Life::new(), &Registry::new()).unwrap();
        let hub = Hub::new(1 << 20);
        hub.start_at(Position::default());
        let open = IntGauge::new("open", "open").unwrap();
        let roster = Roster::new((20, 20), hub.clone(), readiness.condition("room"), open);
        let permit = roster.admit(IpAddr::from([127, 0, 0, 1])).unwrap();
        let filter = Arc::new(Filter::parse(Some(&["a", "b*"])).unwrap());
        hub.attach(&permit.mailbox, 0, &filter, None);
        assert_eq!(hub.attached().get(), 1);
        drop(permit);
        assert_eq!(hub.attached().get(), 0);
    }
}
