//! What the leader does next: a pure state machine from what happened to the next step.
//!
//! It knows where the ticks end (`head`), where the stream ends (`end`) and how far everything is in the stream
//! (`covered`). It never acts on more than it has just learned: whatever goes wrong leads back to [`Step::Load`].

use std::time::Duration;

use bus::EntryId;
use wire::{Epoch, Position, Tick};

/// How late data may be when no notification comes.
pub const POLL: Duration = Duration::from_secs(1);

/// Pauses between snapshots while nothing is new but may be soon.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(1),
    Duration::from_millis(3),
    Duration::from_millis(5),
    Duration::from_millis(12),
    Duration::from_millis(25),
];

/// Between two ticks under load the leader rests so many times as long as the last one took: a tick costs the
/// same however little it holds, and where the writers need the whole machine they would lose a fifth of it.
const REST_TIMES: u32 = 4;

/// The shortest rest. More ticks are of no use, even on a quick machine.
const REST_MIN: Duration = Duration::from_millis(3);

/// The longest: what a busy machine may cost the readings that wait.
const REST_MAX: Duration = Duration::from_millis(10);

/// After so many notifications without a wait between them, writers stop notifying.
const STREAK: u32 = 3;

/// After so many snapshots with nothing new, they notify again.
const CALM: usize = 3;

/// What the forwarder is to do. Each step gives one [`Event`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Read the epoch (beginning one if the history changed), then the stream's end, then the log's end.
    Load,
    /// The history lost its end: begin an epoch, then load.
    BeginEpoch,
    /// Read the readings in (after, end of `upto`].
    Read {
        /// The end of the stream.
        after: Position,
        /// The last tick.
        upto: Tick,
    },
    /// Make the tick after `prev`, if there is anything new.
    Advance {
        /// The epoch that the tick belongs to.
        epoch: Epoch,
        /// The last tick.
        prev: Tick,
    },
    /// Append the entries of the last page or tick to the stream.
    Append {
        /// The epoch whose stream it is.
        epoch: Epoch,
        /// Where the stream must end.
        expected: Option<EntryId>,
        /// What the first entry names as its predecessor.
        predecessor: Position,
    },
    /// Compare the stream's end.
    Verify {
        /// The epoch whose stream it is.
        epoch: Epoch,
    },
    /// Set the gate so that writers do not notify.
    DisableNotify,
    /// Set the gate so that writers notify.
    EnableNotify,
    /// Wait for a notification, at most so long.
    Wait(Duration),
    /// Wait for [`rest_after`] the last tick: there will be more.
    Rest,
}

/// How long a leader under load waits after a tick that took so long, from its snapshot to its append.
pub fn rest_after(tick: Duration) -> Duration {
    tick.saturating_mul(REST_TIMES).clamp(REST_MIN, REST_MAX)
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// There are connections, and nothing is known.
    Connected,
    /// The answer to [`Step::Load`].
    Loaded {
        /// The current epoch.
        epoch: Epoch,
        /// The last tick.
        head: Tick,
        /// Where a stream that is empty begins.
        window_start: Tick,
        /// Where the stream ends.
        end: Option<EntryId>,
    },
    /// A page was read and cut into entries; everything up to `covered` is in them or before them.
    Page {
        /// The last entry; none: there is nothing to append.
        last: Option<EntryId>,
        /// How far they go.
        covered: Position,
    },
    /// The log no longer reaches back so far.
    Forgotten,
    /// A tick was made and cut into entries; a huge one gives only its first ones.
    Made {
        /// Its number.
        tick: Tick,
        /// The last of its entries.
        last: Option<EntryId>,
        /// How far they go.
        covered: Position,
    },
    /// There was nothing to make a tick of.
    Nothing {
        /// Whether transactions were open.
        open: bool,
    },
    /// Another leader was first, or the stream did not end where it should.
    Fenced,
    /// The stream has the entries.
    Appended,
    /// The stream's end.
    End(Option<EntryId>),
    /// The gate is set.
    GateSet,
    /// A notification came.
    Notified {
        /// It had come before the wait began.
        at_once: bool,
    },
    /// The wait was over without a notification.
    TimedOut,
}

/// The state between an event and the next.
#[derive(Debug, Default)]
pub struct Planner {
    epoch: Epoch,
    head: Tick,
    end: Option<EntryId>,
    /// What the next entry names as the one before it.
    predecessor: Position,
    covered: Position,
    /// The log was found not to reach back to the stream's end.
    forgotten: bool,
    /// Where `end` and `covered` will be when the append under way has succeeded.
    pending: Option<(EntryId, Position)>,
    /// Writers do not notify.
    notify_disabled: bool,
    /// An open transaction may have written while writers did not notify.
    unnotified: bool,
    /// The next snapshot is the first since writers notify again.
    just_enabled: bool,
    streak: u32,
    calm: usize,
}

impl Planner {
    /// How many ticks are not in the stream.
    pub fn backlog(&self) -> i64 {
        self.head.0 - self.covered.tick.0 + i64::from(self.covered < self.head_end())
    }

    /// The next step after what happened.
    pub fn next(&mut self, event: Event) -> Step {
        match event {
            Event::Connected => {
                // an earlier leader may have left it so
                *self = Self { notify_disabled: true, ..Self::default() };
                Step::Load
            }
            Event::Loaded { epoch, head, window_start, end } => self.loaded(epoch, head, window_start, end),
            Event::Made { tick, last, covered } => {
                self.head = tick;
                self.calm = 0;
                self.append(last, covered)
            }
            Event::Page { last, covered } => self.append(last, covered),
            Event::Appended => self.appended(),
            Event::Fenced => Step::Load,
            Event::Forgotten => {
                self.forgotten = true;
                Step::Load
            }
            Event::Nothing { open } => self.nothing(open),
            Event::End(end) if end == self.end => self.forward(),
            Event::End(_) => Step::Load,
            Event::GateSet => self.forward(),
            Event::Notified { at_once } => self.notified(at_once),
            Event::TimedOut if self.notify_disabled || self.unnotified => self.forward(),
            Event::TimedOut => Step::Verify { epoch: self.epoch },
        }
    }

    fn head_end(&self) -> Position {
        Position::after_tick(self.epoch, self.head)
    }

    fn loaded(&mut self, epoch: Epoch, head: Tick, window_start: Tick, end: Option<EntryId>) -> Step {
        self.pending = None;
        (self.epoch, self.head, self.end) = (epoch, head, end);
        let start = Position::after_tick(epoch, window_start);
        match end {
            // a tick is committed before it is published: a stream ahead of the ticks means that they went back
            Some(end) if end.tick > head => return Step::BeginEpoch,
            Some(end) if !std::mem::take(&mut self.forgotten) => self.covered = end.position(epoch),
            _ => self.covered = start,
        }
        self.predecessor = self.covered;
        self.forward()
    }

    /// First what the ticks have and the stream has not, then what is new.
    fn forward(&self) -> Step {
        if self.covered < self.head_end() {
            Step::Read { after: self.covered, upto: self.head }
        } else {
            Step::Advance { epoch: self.epoch, prev: self.head }
        }
    }

    fn append(&mut self, last: Option<EntryId>, covered: Position) -> Step {
        let Some(last) = last else {
            self.covered = covered;
            return self.forward();
        };
        self.pending = Some((last, covered));
        Step::Append { epoch: self.epoch, expected: self.end, predecessor: self.predecessor }
    }

    fn appended(&mut self) -> Step {
        if let Some((end, covered)) = self.pending.take() {
            (self.end, self.covered) = (Some(end), covered);
            self.predecessor = end.position(self.epoch);
        }
        if self.covered < self.head_end() {
            return self.forward();
        }
        match (self.notify_disabled, self.unnotified || self.just_enabled) {
            (true, _) => Step::Rest,
            (false, true) => self.forward(),
            // every writer notifies, so the wait can miss nothing
            (false, false) => Step::Wait(POLL),
        }
    }

    fn nothing(&mut self, open: bool) -> Step {
        if std::mem::take(&mut self.just_enabled) || !open {
            self.unnotified = open && !self.notify_disabled;
        }
        self.calm += 1;
        let pause = PAUSES[self.calm.min(PAUSES.len()) - 1];
        match (self.notify_disabled, self.unnotified) {
            (true, _) if self.calm < CALM => Step::Wait(pause),
            (true, _) => {
                (self.notify_disabled, self.just_enabled) = (false, true);
                Step::EnableNotify
            }
            (false, true) => Step::Wait(pause),
            (false, false) => Step::Wait(POLL),
        }
    }

    fn notified(&mut self, at_once: bool) -> Step {
        self.streak = if at_once { self.streak + 1 } else { 0 };
        if self.streak >= STREAK && !self.notify_disabled {
            (self.notify_disabled, self.unnotified, self.calm, self.streak) = (true, false, 0, 0);
            return Step::DisableNotify;
        }
        self.forward()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_rests_longer_where_ticks_take_longer() {
        let milliseconds = [0, 1, 2, 3, 4, 1_000].map(Duration::from_millis);
        assert_eq!(milliseconds.map(rest_after), [3, 4, 8, 10, 10, 10].map(Duration::from_millis));
    }
}
