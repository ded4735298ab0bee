//! The planner against a model of Postgres, Redis and any number of leaders that crash at any step: whatever the
//! schedule, a gateway that follows the stream gets every committed row once, in one order (I1, I2, I4, I5).
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use bus::{EntryId, NewEntry};
use notify_listener::planner::{Event, POLL, Planner, Step};
use proptest::prelude::*;
use wire::{Epoch, Position, Provenance, Tick};

const EPOCH: Epoch = Epoch(1);
/// Small, so that schedules meet ticks larger than a page.
const PAGE: usize = 3;

/// Postgres: rows by transaction, and ticks as sets of the transactions that each snapshot showed.
#[derive(Default)]
struct Database {
    next_row: i64,
    open: BTreeMap<u32, Vec<i64>>,
    committed: Vec<(u32, Vec<i64>)>,
    next_xid: u32,
    ticks: Vec<BTreeSet<u32>>,
    notify_disabled: bool,
    /// Writers under way that did not notify when they wrote.
    silent: BTreeSet<u32>,
    /// A notification that no leader has taken yet.
    notified: bool,
}

impl Database {
    fn new() -> Self {
        // an earlier leader died while writers did not notify
        Self { ticks: vec![BTreeSet::new()], notify_disabled: true, ..Self::default() }
    }

    fn head(&self) -> Tick {
        Tick(self.ticks.len() as i64)
    }

    fn begin(&mut self) {
        self.open.insert(self.next_xid, Vec::new());
        self.next_xid += 1;
    }

    fn insert(&mut self, writer: usize) {
        let Some(xid) = self.open.keys().copied().nth(writer) else { return };
        self.next_row += 1;
        let row = self.next_row;
        self.open.get_mut(&xid).unwrap().push(row);
        if self.notify_disabled {
            self.silent.insert(xid);
        } else {
            self.silent.remove(&xid);
        }
    }

    fn end(&mut self, writer: usize, commit: bool) {
        let Some(xid) = self.open.keys().copied().nth(writer) else { return };
        let rows = self.open.remove(&xid).unwrap();
        if commit && !rows.is_empty() {
            self.committed.push((xid, rows));
            self.notified |= !self.silent.remove(&xid);
        }
    }

    /// Row ids of a tick, in order.
    fn rows(&self, tick: Tick) -> Vec<i64> {
        let (before, now) = (&self.ticks[tick.0 as usize - 2], &self.ticks[tick.0 as usize - 1]);
        let mut rows: Vec<i64> = self
            .committed
            .iter()
            .filter(|(xid, _)| now.contains(xid) && !before.contains(xid))
            .flat_map(|c| c.1.clone())
            .collect();
        rows.sort_unstable();
        rows
    }

    /// The log in (after, end of upto], whole ticks, or at most a page of the first one.
    fn read(&self, after: Position, upto: Tick) -> (Vec<(Tick, i64)>, Position) {
        let mut first = if after.ends_tick() { after.tick.next() } else { after.tick };
        let mut log = Vec::new();
        while first <= upto {
            let rows: Vec<i64> =
                self.rows(first).into_iter().filter(|row| first > after.tick || *row > after.id).collect();
            if rows.len() > PAGE && log.is_empty() {
                let log: Vec<_> = rows[..PAGE].iter().map(|row| (first, *row)).collect();
                return (log, Position::new(EPOCH, first, rows[PAGE - 1]));
            }
            if log.len() + rows.len() > PAGE {
                break;
            }
            log.extend(rows.into_iter().map(|row| (first, row)));
            first = first.next();
        }
        (log, Position::after_tick(EPOCH, Tick(first.0 - 1)))
    }
}

/// An entry of the model holds one row: the finest cut.
fn entries(log: &[(Tick, i64)]) -> Vec<NewEntry> {
    let mut predecessor = Position::default();
    log.iter()
        .map(|(tick, row)| {
            let end = Position::new(EPOCH, *tick, *row);
            NewEntry {
                id: EntryId::at(end),
                predecessor: std::mem::replace(&mut predecessor, end),
                provenance: Provenance::default(),
                readings: Vec::new(),
            }
        })
        .collect()
}

/// A replica between two steps, with the entries that it is about to append.
struct Leader {
    planner: Planner,
    step: Step,
    entries: Vec<NewEntry>,
}

struct World {
    database: Database,
    stream: Vec<NewEntry>,
    leaders: Vec<Leader>,
    gateway: Position,
    delivered: Vec<Position>,
}

impl World {
    fn new(leaders: usize) -> Self {
        let mut world = Self {
            database: Database::new(),
            stream: Vec::new(),
            leaders: Vec::new(),
            gateway: Position::after_tick(EPOCH, Tick(1)),
            delivered: Vec::new(),
        };
        world.leaders = (0..leaders).map(|_| Self::fresh()).collect();
        world
    }

    fn fresh() -> Leader {
        let mut planner = Planner::default();
        let step = planner.next(Event::Connected);
        Leader { planner, step, entries: Vec::new() }
    }

    fn end(&self) -> Option<EntryId> {
        self.stream.last().map(|entry| entry.id)
    }

    /// What a step does to the world.
    fn perform(&mut self, leader: usize) -> Event {
        let step = &self.leaders[leader].step.clone();
        match step {
            Step::Load => {
                let window_start = Tick((self.database.head().0 - 2).max(1));
                Event::Loaded { epoch: EPOCH, head: self.database.head(), window_start, end: self.end() }
            }
            Step::BeginEpoch => panic!("this history never goes back"),
            Step::Read { after, upto } => {
                let (log, covered) = self.database.read(*after, *upto);
                Event::Page { last: self.cut(leader, &log), covered }
            }
            Step::Advance { prev, .. } => self.advance(leader, *prev),
            Step::Append { expected, predecessor, .. } => {
                if *expected != self.end() {
                    return Event::Fenced;
                }
                let mut entries = std::mem::take(&mut self.leaders[leader].entries);
                entries.first_mut().unwrap().predecessor = *predecessor;
                self.stream.extend(entries);
                Event::Appended
            }
            Step::Verify { .. } => Event::End(self.end()),
            Step::DisableNotify => {
                self.database.notify_disabled = true;
                Event::GateSet
            }
            Step::EnableNotify => {
                self.database.notify_disabled = false;
                Event::GateSet
            }
            Step::Wait(_) | Step::Rest => Event::TimedOut,
        }
    }

    fn cut(&mut self, leader: usize, log: &[(Tick, i64)]) -> Option<EntryId> {
        self.leaders[leader].entries = entries(log);
        self.leaders[leader].entries.last().map(|entry| entry.id)
    }

    fn advance(&mut self, leader: usize, prev: Tick) -> Event {
        let shown: BTreeSet<u32> = self.database.committed.iter().map(|(xid, _)| *xid).collect();
        let open = !self.database.open.is_empty();
        if shown == self.database.ticks[prev.0 as usize - 1] {
            return Event::Nothing { open };
        }
        if self.database.head() != prev {
            return Event::Fenced;
        }
        self.database.ticks.push(shown);
        let tick = prev.next();
        let (log, covered) = self.database.read(Position::after_tick(EPOCH, prev), tick);
        Event::Made { tick, last: self.cut(leader, &log), covered }
    }

    fn leader(&mut self, leader: usize, crash: Crash) {
        let leader = leader % self.leaders.len();
        let event = match crash {
            Crash::Before => return self.leaders[leader] = Self::fresh(),
            Crash::After => {
                self.perform(leader);
                return self.leaders[leader] = Self::fresh();
            }
            Crash::No => self.perform(leader),
        };
        let leader = &mut self.leaders[leader];
        leader.step = leader.planner.next(event);
    }

    /// A gateway reads the stream behind its cursor and fills gaps from the database.
    fn follow(&mut self) {
        let fresh: Vec<NewEntry> =
            self.stream.iter().filter(|entry| entry.id.position(EPOCH) > self.gateway).cloned().collect();
        for entry in fresh {
            while entry.predecessor > self.gateway {
                let (log, covered) = self.database.read(self.gateway, entry.predecessor.tick);
                let rows = log.into_iter().map(|(tick, row)| Position::new(EPOCH, tick, row));
                self.delivered.extend(rows.filter(|row| *row <= entry.predecessor));
                self.gateway = covered.min(entry.predecessor);
            }
            let row = entry.id.position(EPOCH);
            if row > self.gateway {
                self.delivered.push(row);
                self.gateway = row;
            }
        }
    }

    fn check_stream(&self) {
        for pair in self.stream.windows(2) {
            assert_eq!(
                pair[1].predecessor,
                pair[0].id.position(EPOCH),
                "I4: the stream is one contiguous run"
            );
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Crash {
    No,
    Before,
    After,
}

#[derive(Debug, Clone)]
enum Move {
    Begin,
    Insert(usize),
    End(usize, bool),
    Leader(usize, Crash),
    Follow,
    Wipe,
    LoseTail(usize),
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        3 => Just(Move::Begin),
        6 => (0..4usize).prop_map(Move::Insert),
        4 => ((0..4usize), prop::bool::weighted(0.85)).prop_map(|(w, commit)| Move::End(w, commit)),
        24 => (0..3usize).prop_map(|leader| Move::Leader(leader, Crash::No)),
        1 => (0..3usize).prop_map(|leader| Move::Leader(leader, Crash::Before)),
        1 => (0..3usize).prop_map(|leader| Move::Leader(leader, Crash::After)),
        3 => Just(Move::Follow),
        1 => Just(Move::Wipe),
        1 => (1..4usize).prop_map(Move::LoseTail),
    ]
}

/// Few writers and no faults: a leader that often falls asleep.
fn calm_moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        1 => Just(Move::Begin),
        1 => (0..2usize).prop_map(Move::Insert),
        1 => ((0..2usize), prop::bool::weighted(0.9)).prop_map(|(w, commit)| Move::End(w, commit)),
        4 => Just(Move::Leader(0, Crash::No)),
    ]
}

fn play(world: &mut World, step: Move) {
    match step {
        Move::Begin => world.database.begin(),
        Move::Insert(writer) => world.database.insert(writer),
        Move::End(writer, commit) => world.database.end(writer, commit),
        Move::Leader(leader, crash) => world.leader(leader, crash),
        Move::Follow => world.follow(),
        Move::Wipe => world.stream.clear(),
        Move::LoseTail(length) => world.stream.truncate(world.stream.len().saturating_sub(length)),
    }
    world.check_stream();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_committed_row_arrives_once_in_one_order(
        leaders in 1..4usize,
        schedule in prop::collection::vec(moves(), 1..200),
    ) {
        let mut world = World::new(leaders);
        for step in schedule {
            play(&mut world, step);
        }
        // the faults end; a last row makes the stream move on from whatever was lost
        while !world.database.open.is_empty() {
            world.database.end(0, true);
        }
        for last in 0..2 {
            world.database.begin();
            world.database.insert(0);
            world.database.end(0, true);
            for step in 0..120 {
                world.leader(step + last, Crash::No);
                world.check_stream();
            }
            world.follow();
        }
        let rows: BTreeSet<i64> = world.database.committed.iter().flat_map(|c| c.1.clone()).collect();
        let delivered: Vec<i64> = world.delivered.iter().map(|position| position.id).collect();
        prop_assert_eq!(delivered.iter().copied().collect::<BTreeSet<_>>(), rows, "I1: every row");
        prop_assert_eq!(delivered.len(), world.database.committed.iter().map(|c| c.1.len()).sum::<usize>(), "once");
        prop_assert!(world.delivered.is_sorted(), "in the one order");
    }

    /// The gate affects latency only (I6). This is the latency: a leader that waits for a notification, with every
    /// writer notifying, never sleeps through a commit.
    #[test]
    fn a_sleeping_leader_misses_no_commit(schedule in prop::collection::vec(calm_moves(), 1..200)) {
        let mut world = World::new(1);
        for step in schedule {
            if let (Move::Leader(..), Step::Wait(at_most)) = (&step, world.leaders[0].step.clone()) {
                let shown: BTreeSet<u32> = world.database.committed.iter().map(|(xid, _)| *xid).collect();
                let fresh = shown != *world.database.ticks.last().unwrap();
                let notified = std::mem::take(&mut world.database.notified);
                prop_assert!(
                    at_most < POLL || notified || !fresh,
                    "a committed row waits for the poll"
                );
                let event = if notified { Event::Notified { at_once: true } } else { Event::TimedOut };
                let leader = &mut world.leaders[0];
                leader.step = leader.planner.next(event);
                continue;
            }
            play(&mut world, step);
        }
    }
}

/// Commits a row and lets the leader work until it waits.
fn commit_and_forward(world: &mut World) -> Step {
    world.database.begin();
    world.database.insert(0);
    world.database.end(0, true);
    let notified = std::mem::take(&mut world.database.notified);
    let leader = &mut world.leaders[0];
    if matches!(leader.step, Step::Wait(_)) {
        leader.step =
            leader.planner.next(if notified { Event::Notified { at_once: false } } else { Event::TimedOut });
    }
    while !matches!(world.leaders[0].step, Step::Wait(_) | Step::Rest) {
        world.leader(0, Crash::No);
    }
    world.leaders[0].step.clone()
}

#[test]
fn a_leader_rests_between_ticks_while_writers_do_not_notify() {
    let mut world = World::new(1);
    assert_eq!(commit_and_forward(&mut world), Step::Rest, "at its start writers do not notify");
    while world.leaders[0].step != Step::Wait(POLL) {
        world.leader(0, Crash::No);
    }
    assert_eq!(
        commit_and_forward(&mut world),
        Step::Wait(POLL),
        "once they do, it waits for a notification at once"
    );
}
