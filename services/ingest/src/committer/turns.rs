//! Which kind of requests may have the next lane.

use std::time::Duration;

use tokio::time::Instant;

use super::kind::Kind;

/// An INSERT that runs longer than this is slow: the next lane takes what waits, however little. Two lanes where one
/// would do make more statements and more commits of the same readings.
const SECOND_LANE_AFTER: Duration = Duration::from_millis(2);

/// The lanes in use.
pub(super) struct Turns {
    lanes: usize,
    /// The kind that began last.
    last: Kind,
    kinds: [Busy; 2],
}

/// The lanes in use by one kind.
#[derive(Clone, Copy)]
struct Busy {
    lanes: usize,
    /// The most of them.
    most: usize,
    /// When the last of them began.
    since: Instant,
    /// The requests that were answered this moment, if no other lane of the kind runs.
    answered: usize,
}

impl Turns {
    /// Of several lanes large requests get half, and never all.
    pub(super) fn new(lanes: usize) -> Self {
        let busy = |most| Busy { lanes: 0, most, since: Instant::now(), answered: 0 };
        Self { lanes, last: Kind::Heavy, kinds: [busy(lanes), busy((lanes / 2).max(1))] }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.used() > 0
    }

    /// The kinds, the one whose turn it is first.
    pub(super) fn order(&self) -> [Kind; 2] {
        match self.last {
            Kind::Light => [Kind::Heavy, Kind::Light],
            Kind::Heavy => [Kind::Light, Kind::Heavy],
        }
    }

    pub(super) fn may_begin(&self, kind: Kind, now: Instant) -> bool {
        let busy = &self.kinds[kind as usize];
        self.has_lane(kind) && (busy.lanes == 0 || now >= busy.since + SECOND_LANE_AFTER)
    }

    pub(super) fn may_any_begin(&self, now: Instant) -> bool {
        Kind::ALL.into_iter().any(|kind| self.may_begin(kind, now))
    }

    /// When the next lane may begin that has only to wait.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let waits = Kind::ALL.into_iter().filter(|kind| self.has_lane(*kind) && !self.may_begin(*kind, now));
        waits.map(|kind| self.kinds[kind as usize].since + SECOND_LANE_AFTER).min()
    }

    pub(super) fn begin(&mut self, kind: Kind, now: Instant) {
        let busy = &mut self.kinds[kind as usize];
        (busy.lanes, busy.since) = (busy.lanes + 1, now);
        self.last = kind;
    }

    pub(super) fn end(&mut self, kind: Kind, requests: usize) {
        let busy = &mut self.kinds[kind as usize];
        busy.lanes -= 1;
        busy.answered = if busy.lanes == 0 { requests } else { 0 };
    }

    pub(super) fn answered(&self, kind: Kind) -> usize {
        self.kinds[kind as usize].answered
    }

    pub(super) fn forget_answered(&mut self) {
        self.kinds.iter_mut().for_each(|busy| busy.answered = 0);
    }

    fn used(&self) -> usize {
        self.kinds.iter().map(|busy| busy.lanes).sum()
    }

    fn has_lane(&self, kind: Kind) -> bool {
        let busy = &self.kinds[kind as usize];
        self.used() < self.lanes && busy.lanes < busy.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_requests_leave_a_lane_and_a_second_lane_is_for_slow_inserts() {
        let now = Instant::now();
        let mut turns = Turns::new(4);
        assert_eq!(turns.order(), Kind::ALL);
        turns.begin(Kind::Heavy, now);
        assert!(!turns.may_begin(Kind::Heavy, now) && turns.may_begin(Kind::Light, now));
        assert_eq!(turns.due(now), Some(now + SECOND_LANE_AFTER));
        let later = now + SECOND_LANE_AFTER;
        assert!(turns.may_begin(Kind::Heavy, later));
        turns.begin(Kind::Heavy, later);
        let later = later + SECOND_LANE_AFTER;
        assert!(!turns.may_begin(Kind::Heavy, later), "half of them");
        assert_eq!(turns.due(later), None);
        turns.begin(Kind::Light, later);
        turns.end(Kind::Light, 7);
        assert_eq!((turns.answered(Kind::Light), turns.answered(Kind::Heavy)), (7, 0));
        turns.end(Kind::Heavy, 3);
        assert_eq!(turns.answered(Kind::Heavy), 0, "another runs");
    }

    #[test]
    fn the_kinds_take_turns_at_a_single_lane() {
        let now = Instant::now();
        let mut turns = Turns::new(1);
        turns.begin(Kind::Light, now);
        assert!(!turns.may_any_begin(now + SECOND_LANE_AFTER));
        turns.end(Kind::Light, 1);
        assert_eq!(turns.order(), [Kind::Heavy, Kind::Light]);
        turns.begin(Kind::Heavy, now);
        turns.end(Kind::Heavy, 1);
        assert_eq!(turns.order(), [Kind::Light, Kind::Heavy]);
        assert!(!turns.is_busy());
    }
}
