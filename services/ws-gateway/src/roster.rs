//! Who is connected: the places for connections, and the way to tell all of them something.

use std::{net::IpAddr, sync::Arc};

use ahash::AHashMap;
use chassis::Condition;
use parking_lot::Mutex;
use prometheus::IntGauge;

use crate::{hub::Hub, mailbox::Mailbox};

/// A gateway that is so full takes no new clients as far as it can choose: it says that it is not ready.
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

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// The gateway has as many connections as it may.
    Full,
    /// The address has.
    AddressFull,
}

/// A connection's place. When it is dropped, however its connection ended, it is free again, and the hub has nothing of it
/// any more.
pub(crate) struct Place {
    /// What comes for the connection.
    pub(crate) mailbox: Arc<Mailbox>,
    address: IpAddr,
    roster: Roster,
}

impl Roster {
    /// Places for so many, in all and from one address. `room` fails while it is nearly full.
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

    /// Takes a place.
    pub(crate) fn admit(&self, address: IpAddr) -> Result<Place, NoPlace> {
        let mut state = self.inner.state.lock();
        if state.mailboxes.len() >= self.inner.limit {
            return Err(NoPlace::Full);
        }
        let own = state.by_address.entry(address).or_default();
        if *own >= self.inner.limit_per_address {
            return Err(NoPlace::AddressFull);
        }
        *own += 1;
        let mailbox = Mailbox::new();
        state.mailboxes.insert(mailbox.session, mailbox.clone());
        self.note(state.mailboxes.len(), 1);
        Ok(Place { mailbox, address, roster: self.clone() })
    }

    /// Everyone who is connected now.
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

    /// After a change by one, under the lock, so that the last word is the truth.
    fn note(&self, open: usize, change: i64) {
        self.inner.open.set(i64::try_from(open).unwrap_or(i64::MAX));
        let threshold = (self.inner.limit as f64 * UNREADY_AT).ceil() as usize;
        match change {
            1 if open == threshold => self.inner.room.fail("nearly as many connections as it may have"),
            -1 if open + 1 == threshold => self.inner.room.hold(),
            _ => {}
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.roster.inner.hub.leave(self.mailbox.session);
        self.roster.leave(self.mailbox.session, self.address);
    }
}

#[cfg(test)]
mod tests {
    use chassis::{Life, Readiness};
    use wire::{Filter, Position};

    use super::*;

    #[test]
    fn places_are_bounded_in_all_and_by_address_and_come_back() {
        let readiness = Readiness::new(&Life::new());
        let open = IntGauge::new("open", "open").unwrap();
        let roster = Roster::new((20, 15), Hub::new(0), readiness.condition("room"), open.clone());
        let address = |last: u8| IpAddr::from([127, 0, 0, last]);
        let mut places: Vec<Place> = (0..15).map(|_| roster.admit(address(1)).unwrap()).collect();
        assert_eq!(roster.admit(address(1)).err(), Some(NoPlace::AddressFull));
        places.extend((0..4).map(|_| roster.admit(address(2)).unwrap()));
        assert!(!readiness.is_ready(), "19 of 20");
        places.push(roster.admit(address(2)).unwrap());
        assert_eq!(roster.admit(address(3)).err(), Some(NoPlace::Full));
        assert_eq!((roster.all().len(), open.get()), (20, 20));
        places.truncate(18);
        assert!(readiness.is_ready());
        drop(places);
        assert_eq!(open.get(), 0);
        assert!(roster.inner.state.lock().by_address.is_empty());
    }

    #[test]
    fn a_place_that_is_dropped_leaves_the_hub() {
        let readiness = Readiness::new(&Life::new());
        let hub = Hub::new(1 << 20);
        hub.start_at(Position::default());
        let open = IntGauge::new("open", "open").unwrap();
        let roster = Roster::new((20, 20), hub.clone(), readiness.condition("room"), open);
        let place = roster.admit(IpAddr::from([127, 0, 0, 1])).unwrap();
        let filter = Arc::new(Filter::parse(Some(&["a", "b*"])).unwrap());
        hub.attach(&place.mailbox, 0, &filter, None);
        assert_eq!(hub.attached().get(), 1);
        drop(place);
        assert_eq!(hub.attached().get(), 0);
    }
}
