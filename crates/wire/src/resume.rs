//! The outcome of resuming from a client's position, derived from the log's epochs and extent alone.

use crate::{
    frame::{Gap, GapReason},
    position::{Epoch, Position, Tick},
};

/// The outcome of resuming from a client's position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// The log reaches back to it: continue from here.
    From(Position),
    /// The readings in between are lost: continue from `to`.
    Gap(Gap),
    /// The log has not reached it yet.
    Ahead,
}

/// The end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The current epoch.
    pub epoch: Epoch,
    /// The tick after which the epoch's positions begin.
    pub first_tick: Tick,
    /// The last tick.
    pub last_tick: Tick,
    /// The oldest tick whose snapshot is kept: replay can start after it.
    pub horizon: Tick,
}

/// How an epoch began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: Epoch,
    /// The tick after which its positions begin.
    pub first_tick: Tick,
    /// The Postgres system identifier: a promotion keeps it, a restore from a dump does not.
    pub system: i64,
}

/// The extent of the log and its epochs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogExtent {
    /// The end of the log.
    pub head: Head,
    /// All epochs, ascending.
    pub epochs: Vec<EpochStart>,
}

impl LogExtent {
    /// The outcome of resuming from a client's position.
    pub fn resolve(&self, from: Position) -> Resume {
        let head = self.head;
        let gap = |to, reason| Resume::Gap(Gap { from, to, reason });
        if from.epoch > head.epoch {
            return Resume::Ahead;
        }
        let epochs = &self.epochs[self.epochs.partition_point(|start| start.epoch < from.epoch)..];
        if epochs.first().is_none_or(|start| start.epoch != from.epoch) {
            return gap(Position::after_tick(head.epoch, head.first_tick), GapReason::Epoch);
        }
        for pair in epochs.windows(2) {
            let (own, next) = (pair[0], pair[1]);
            // a promotion keeps the ticks before its first one; anything else keeps none
            if own.system != next.system || from.tick >= next.first_tick {
                return gap(Position::after_tick(next.epoch, next.first_tick), GapReason::Epoch);
            }
        }
        if from.tick > head.last_tick {
            return Resume::Ahead;
        }
        let base = if from.ends_tick() { from.tick } else { Tick(from.tick.0 - 1) };
        if base < head.horizon {
            return gap(Position::after_tick(head.epoch, head.horizon), GapReason::Retention);
        }
        Resume::From(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEM: i64 = 7;

    /// Epoch 10 from tick 0 on; epoch 20, a promotion, after tick 50; ticks 30 to 60 are kept.
    fn promoted() -> LogExtent {
        let start = |epoch, tick| EpochStart { epoch: Epoch(epoch), first_tick: Tick(tick), system: SYSTEM };
        LogExtent {
            head: Head { epoch: Epoch(20), first_tick: Tick(50), last_tick: Tick(60), horizon: Tick(30) },
            epochs: vec![start(10, 0), start(20, 50)],
        }
    }

    fn end(epoch: i64, tick: i64) -> Position {
        Position::after_tick(Epoch(epoch), Tick(tick))
    }

    #[track_caller]
    fn check_gap(extent: &LogExtent, from: Position, to: Position, reason: GapReason) {
        assert_eq!(extent.resolve(from), Resume::Gap(Gap { from, to, reason }));
    }

    #[test]
    fn a_position_within_the_log_is_resumed_across_a_promotion_that_kept_it() {
        for from in
            [end(20, 60), end(20, 50), end(10, 49), Position::new(Epoch(10), Tick(40), 3), end(10, 30)]
        {
            assert_eq!(promoted().resolve(from), Resume::From(from), "{from}");
        }
    }

    #[test]
    fn a_position_that_the_log_has_not_reached_is_ahead() {
        for from in [end(20, 61), end(21, 1)] {
            assert_eq!(promoted().resolve(from), Resume::Ahead, "{from}");
        }
    }

    #[test]
    fn a_position_before_the_horizon_is_a_gap_of_retention() {
        check_gap(&promoted(), end(10, 29), end(20, 30), GapReason::Retention);
        // the tick itself is kept, but not the snapshot before it, which its readings are determined from
        let within = Position::new(Epoch(10), Tick(30), 3);
        check_gap(&promoted(), within, end(20, 30), GapReason::Retention);
    }

    #[test]
    fn a_position_that_a_promotion_lost_is_a_gap_to_the_new_epoch() {
        check_gap(&promoted(), end(10, 50), end(20, 50), GapReason::Epoch);
    }

    #[test]
    fn a_position_of_another_system_or_of_an_unknown_epoch_is_a_gap() {
        check_gap(&promoted(), end(9, 40), end(20, 50), GapReason::Epoch);
        check_gap(&promoted(), end(15, 40), end(20, 50), GapReason::Epoch);
        let mut restored = promoted();
        restored.epochs[0].system = SYSTEM + 1;
        check_gap(&restored, end(10, 40), end(20, 50), GapReason::Epoch);
    }
}
