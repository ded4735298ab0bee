//! Which readings of a batch a subscription gets.

use std::sync::{Arc, Weak};

use wire::Filter;

use crate::fanout::lock::Mutex;

/// What is known of a batch is remembered for so many filters: those of a tenant's viewers are the same.
const REMEMBERED: usize = 4;

/// Which readings of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Every one that the subscription's filter matches.
    All,
    /// Every one: the filter matches them all.
    Each,
    /// These, ascending.
    These(Arc<[u32]>),
}

impl Selection {
    /// These, ascending, of so many.
    pub(crate) fn of(rows: Arc<[u32]>, count: usize) -> Self {
        if rows.len() == count { Self::Each } else { Self::These(rows) }
    }

    /// How many they are at most, of so many.
    pub(crate) fn count(&self, count: usize) -> usize {
        match self {
            Self::All | Self::Each => count,
            Self::These(rows) => rows.len(),
        }
    }

    fn cost(&self) -> usize {
        match self {
            Self::All | Self::Each => 0,
            Self::These(rows) => size_of_val(&**rows),
        }
    }
}

/// What filters match of a batch, for the first few that were asked for and are still in use: sessions that read on from the log
/// ask one after the other.
#[derive(Debug, Default)]
pub(crate) struct Matched(Mutex<[Option<Known>; REMEMBERED]>);

/// A filter, and what it matches.
type Known = (Weak<Filter>, Selection);

impl Matched {
    /// What the filter matches of the batch, found if it is not known. Nobody waits while it is found.
    pub(crate) fn by(&self, filter: &Arc<Filter>, find: impl FnOnce() -> Selection) -> Selection {
        if let Some(known) = self.known(filter) {
            return known;
        }
        let selection = find();
        let mut known = self.0.lock();
        let is_in_use = |(other, _): &Known| other.strong_count() > 0;
        if let Some(free) = known.iter_mut().find(|place| !place.as_ref().is_some_and(is_in_use)) {
            *free = Some((Arc::downgrade(filter), selection.clone()));
        }
        selection
    }

    fn known(&self, filter: &Arc<Filter>) -> Option<Selection> {
        let known = self.0.lock();
        let is_same = |other: &Weak<Filter>| other.upgrade().is_some_and(|other| other == *filter);
        known.iter().flatten().find(|(other, _)| is_same(other)).map(|(_, selection)| selection.clone())
    }

    /// The same of another copy of the batch, of the filters that match all of it: that takes no further memory.
    pub(crate) fn without_rows(&self) -> Self {
        let known = self.0.lock().clone();
        Self(Mutex::new(known.map(|known| known.filter(|(_, selection)| *selection == Selection::Each))))
    }

    /// The memory that it takes beside itself, in bytes. The filters belong to subscriptions.
    pub(crate) fn cost(&self) -> usize {
        let known = self.0.lock();
        known.iter().flatten().map(|(_, selection)| selection.cost()).sum()
    }
}
