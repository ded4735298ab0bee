//! The buckets that are remembered, at most so many.
//!
//! They are in two generations. When the young one is full, the old one is forgotten and the young one becomes it; who comes
//! again is moved to the young one. Those are forgotten who were silent longest, and they begin with full buckets again: whoever
//! comes from more addresses than are remembered could have had as much from new ones.

use std::{collections::HashMap, mem, sync::LazyLock, time::Duration};

use auth::{Gcra, Rate};

use crate::{bounds::Bounds, payer::Payer};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Requests,
    Readings,
    Rows,
    Commands,
    Tickets,
}

/// How many tickets a subject gets: enough for a server that asks on behalf of its visitors. Those that are not used yet take
/// memory of Redis.
static TICKETS: LazyLock<Option<Rate>> = LazyLock::new(|| Rate::new(20.0, 200).ok());

impl Unit {
    /// What requests are told of, with its name.
    pub(crate) const OF_REQUESTS: [(Self, &str); 3] =
        [(Self::Requests, "requests"), (Self::Readings, "readings"), (Self::Rows, "rows")];

    pub(crate) fn rate(self, bounds: &Bounds) -> Option<Rate> {
        match self {
            Self::Requests => bounds.limits.requests,
            Self::Readings => bounds.limits.readings,
            Self::Rows => bounds.rows,
            Self::Commands => bounds.commands,
            Self::Tickets => *TICKETS,
        }
    }
}

/// The buckets of one payer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Buckets([Gcra; 5]);

impl Buckets {
    pub(crate) fn of(&mut self, unit: Unit) -> &mut Gcra {
        &mut self.0[unit as usize]
    }

    fn is_full(&self, now: Duration) -> bool {
        self.0.iter().all(|bucket| bucket.is_full(now))
    }
}

/// The buckets by their payers.
pub(crate) struct Remembered {
    young: HashMap<Payer, Buckets>,
    old: HashMap<Payer, Buckets>,
    /// In each generation.
    most: usize,
}

impl Remembered {
    /// At least `most` of those who came last, and at most twice as many.
    pub(crate) fn new(most: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), most }
    }

    /// The buckets of a payer, which was there now.
    pub(crate) fn get(&mut self, payer: Payer) -> &mut Buckets {
        if self.young.len() >= self.most && !self.young.contains_key(&payer) {
            let known = self.old.remove(&payer).unwrap_or_default();
            self.old = mem::take(&mut self.young);
            return self.young.entry(payer).or_insert(known);
        }
        let Self { young, old, .. } = self;
        young.entry(payer).or_insert_with(|| old.remove(&payer).unwrap_or_default())
    }

    /// A copy of them.
    pub(crate) fn peek(&self, payer: Payer) -> Buckets {
        let known = self.young.get(&payer).or_else(|| self.old.get(&payer));
        known.copied().unwrap_or_default()
    }

    /// Forgets full buckets.
    pub(crate) fn purge(&mut self, now: Duration) {
        for generation in [&mut self.young, &mut self.old] {
            generation.retain(|_, buckets| !buckets.is_full(now));
            if generation.is_empty() {
                *generation = HashMap::new();
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 100;

    fn address(n: u32) -> Payer {
        Payer::Address(Some(n.to_be_bytes().into()))
    }

    #[test]
    fn who_comes_again_is_remembered_however_many_others_come_and_they_take_no_more_room() {
        let rate: Rate = "1/s burst 1000000".parse().unwrap();
        let mut remembered = Remembered::new(MOST);
        let mut take = |payer| {
            let left = remembered.get(payer).of(Unit::Requests).check(rate, 1, Duration::ZERO);
            assert!(remembered.len() <= 2 * MOST, "{}", remembered.len());
            left.unwrap().cost
        };
        for n in 1..=100 {
            assert_eq!(take(address(0)), 1_000_000 - n, "it is remembered");
            for other in 1..MOST as u32 {
                assert_eq!(take(address(n * 1_000 + other)), 999_999);
            }
        }
        for other in 0..2 * MOST as u32 {
            take(address(1_000_000 + other));
        }
        assert_eq!(take(address(0)), 999_999, "who is silent while so many others come is forgotten");
    }

    #[test]
    fn buckets_that_are_full_are_forgotten_and_their_room_is_given_back() {
        let rate: Rate = "1/s".parse().unwrap();
        let mut remembered = Remembered::new(MOST);
        for n in 0..MOST as u32 + 1 {
            remembered.get(address(n)).of(Unit::Rows).check(rate, 1, Duration::from_secs(n.into())).unwrap();
        }
        remembered.purge(Duration::from_secs(MOST as u64));
        assert_eq!(remembered.len(), 1);
        assert_eq!(remembered.old.capacity(), 0);
    }
}
