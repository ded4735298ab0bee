//! What was answered with 201 against what each client got.

use std::collections::HashMap;

use super::follows::Follows;

/// A reading that ingest answered with 201.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Write {
    /// The id in the answer.
    pub(super) id: i64,
    /// The sensor's number (the lower half), as one connection wrote it: these writes came one after the other.
    pub(super) stream: u64,
    /// The request's place in the list of requests.
    pub(super) request: u32,
}

/// All writes, each stream's in their order, found by id.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    writes: Vec<Entry>,
    base: i64,
    /// The write's place plus one, by id from `base`.
    places: Vec<u32>,
    streams: usize,
    repeated: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    sensor: u32,
    stream: u32,
    request: u32,
}

impl Ledger {
    /// From the writes; the order of a stream's writes is their order here.
    pub(super) fn new(writes: &[Write]) -> Self {
        let base = writes.iter().map(|write| write.id).min().unwrap_or_default();
        let last = writes.iter().map(|write| write.id).max().unwrap_or_default();
        let mut ledger = Self { base, places: vec![0; (last - base) as usize + 1], ..Self::default() };
        let mut streams = HashMap::new();
        for write in writes {
            let fresh = streams.len() as u32;
            let stream = *streams.entry(write.stream).or_insert(fresh);
            let place = &mut ledger.places[(write.id - base) as usize];
            if *place == 0 {
                ledger.writes.push(Entry { sensor: write.stream as u32, stream, request: write.request });
                *place = ledger.writes.len() as u32;
            } else {
                ledger.repeated += 1;
            }
        }
        ledger.streams = streams.len();
        ledger
    }

    /// How many readings a client must get that follows everything.
    pub(super) fn len(&self) -> usize {
        self.writes.len()
    }

    /// Ids in two answers.
    pub(super) fn repeated(&self) -> u64 {
        self.repeated
    }

    /// The request that wrote the id.
    pub(super) fn request(&self, id: i64) -> Option<u32> {
        self.place(id).map(|place| self.writes[place].request)
    }

    fn place(&self, id: i64) -> Option<usize> {
        let at = usize::try_from(id.checked_sub(self.base)?).ok()?;
        self.places.get(at)?.checked_sub(1).map(|place| place as usize)
    }
}

/// One client's side.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    follows: Follows,
    seen: Vec<bool>,
    newest: Vec<u32>,
    missing: usize,
    order: u64,
    /// Duplicate arrivals.
    pub(super) twice: u64,
    /// Arrivals of what no 201 of this run named: another writer's, or a POST whose answer was lost.
    pub(super) foreign: u64,
    /// Arrivals behind a later write of the same stream.
    pub(super) out_of_order: u64,
}

impl Account {
    /// Nothing has come yet.
    pub(super) fn new(ledger: &Ledger, follows: &Follows) -> Self {
        Self {
            seen: vec![false; ledger.len()],
            newest: vec![0; ledger.streams],
            follows: follows.clone(),
            missing: ledger.writes.iter().filter(|write| follows.has(write.sensor)).count(),
            ..Self::default()
        }
    }

    /// A reading came. `true` the first time, if it is of this run.
    pub(super) fn arrive(&mut self, ledger: &Ledger, id: i64) -> bool {
        let Some(place) = ledger.place(id) else {
            self.foreign += 1;
            return false;
        };
        if std::mem::replace(&mut self.seen[place], true) {
            self.twice += 1;
            return false;
        }
        // a reading that was not subscribed to is no loss elsewhere; it counts as `foreign`
        if !self.follows.has(ledger.writes[place].sensor) {
            self.foreign += 1;
            return false;
        }
        self.missing -= 1;
        let newest = &mut self.newest[ledger.writes[place].stream as usize];
        if *newest > place as u32 {
            self.out_of_order += 1;
        }
        *newest = (*newest).max(place as u32);
        // FNV-1a over ids instead of bytes, from a start that is not zero
        self.order = (self.order ^ (id as u64 + 1)).wrapping_mul(0x0100_0000_01b3);
        true
    }

    /// How many have not come.
    pub(super) fn missing(&self) -> usize {
        self.missing
    }

    /// A hash of the sequence of first arrivals: equal for clients that got the same in the same order.
    pub(super) fn order(&self) -> u64 {
        self.order
    }
}

/// How many of a client's first arrivals come behind one that the reference client got later.
pub(super) fn disorder(ledger: &Ledger, reference: &[i64], ids: &[i64]) -> u64 {
    let mut ranks = vec![0_u32; ledger.len()];
    let mut rank = 0;
    for place in reference.iter().filter_map(|id| ledger.place(*id)) {
        if ranks[place] == 0 {
            rank += 1;
            ranks[place] = rank;
        }
    }
    let (mut newest, mut behind) = (0, 0);
    for place in ids.iter().filter_map(|id| ledger.place(*id)) {
        // what the reference never got has no rank, and a repetition has lost it
        let rank = std::mem::take(&mut ranks[place]);
        if rank != 0 && rank < newest {
            behind += 1;
        }
        newest = newest.max(rank);
    }
    behind
}

#[cfg(test)]
mod tests;
