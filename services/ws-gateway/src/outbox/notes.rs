//! Which events the bytes of an outbox are, so that they can be counted, and their age be taken, when they have left.

use std::collections::VecDeque;

use crate::fanout::batch::{Times, Trace};

/// Events that begin within so many bytes are noted together, with the times of the first: notes are few, whatever the client
/// makes wait.
const NOTE_BYTES: u64 = 4 << 10;

/// So many notes may wait with a trace of their own. The spans of a client that is further behind end without its events.
const TRACED: usize = 64;

/// Events whose bytes follow each other.
#[derive(Debug)]
pub(crate) struct Events {
    /// Where the bytes of the first begin, counted from the connection's first byte.
    start: u64,
    /// Where the bytes of the last end.
    end: u64,
    /// How many they are.
    pub(crate) count: u64,
    /// How many of them a client that follows live should have had at once.
    pub(crate) live: u64,
    /// The times of the first of those.
    pub(crate) times: Option<Times>,
    /// The span that ends when they, and the same for others, are written.
    pub(crate) trace: Option<Trace>,
}

/// Notes of what waits, in order.
#[derive(Debug, Default)]
pub(super) struct Notes(VecDeque<Events>);

impl Notes {
    /// So many events end at this byte, all of them live if they have times. `written` bytes have left.
    pub(super) fn add(
        &mut self,
        count: u64,
        (written, end): (u64, u64),
        times: Option<Times>,
        trace: Option<Trace>,
    ) {
        let trace = trace.filter(|_| self.0.len() < TRACED);
        let live = if times.is_some() { count } else { 0 };
        match self.0.back_mut() {
            Some(last) if end - last.start < NOTE_BYTES && trace.is_none() => {
                last.end = end;
                (last.count, last.live) = (last.count + count, last.live + live);
                last.times = last.times.or(times);
            }
            last => {
                let start = last.map_or(written, |last| last.end);
                self.0.push_back(Events { start, end, count, live, times, trace });
            }
        }
    }

    /// The next events of which the last byte is among those that have left.
    pub(super) fn next(&mut self, written: u64) -> Option<Events> {
        let events = self.0.pop_front_if(|events| events.end <= written)?;
        if self.0.is_empty() {
            // an idle connection holds no memory of its last burst
            self.0 = VecDeque::new();
        }
        Some(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(at: i64) -> Option<Times> {
        Some(Times { committed_at: at, taken_at: at })
    }

    fn next(notes: &mut Notes, written: u64) -> Option<(u64, u64, Option<Times>)> {
        notes.next(written).map(|events| (events.count, events.live, events.times))
    }

    #[test]
    fn events_are_written_with_their_last_byte() {
        let mut notes = Notes::default();
        notes.add(2, (0, 5_000), times(1), None);
        notes.add(1, (0, 5_050), None, None);
        assert_eq!(next(&mut notes, 4_999), None);
        assert_eq!(next(&mut notes, 5_001), Some((2, 2, times(1))));
        assert_eq!(next(&mut notes, 5_001), None);
        assert_eq!(next(&mut notes, 5_050), Some((1, 0, None)));
    }

    #[test]
    fn notes_are_few_whatever_waits_and_keep_the_oldest_times() {
        let mut notes = Notes::default();
        for at in 0..10_000 {
            // every other one was asked for later
            let times = if at % 2 == 1 { times(at) } else { None };
            notes.add(1, (0, 50 * (at as u64 + 1)), times, None);
        }
        assert!(notes.0.len() <= 500_000 / 4_000, "{}", notes.0.len());
        let written: Vec<_> = std::iter::from_fn(|| next(&mut notes, 500_000)).collect();
        let sum = written.iter().fold((0, 0), |sum, (count, live, _)| (sum.0 + count, sum.1 + live));
        assert_eq!((sum, written[0].2), ((10_000, 5_000), times(1)));
    }

    #[test]
    fn a_client_that_does_not_read_holds_few_spans() {
        let mut notes = Notes::default();
        for number in 0..5_000 {
            notes.add(1, (0, 50 * (number + 1)), times(1), Some(Trace::default()));
        }
        let held = notes.0.iter().filter(|events| events.trace.is_some()).count();
        assert!(held == TRACED && notes.0.len() < TRACED + 5_000 * 50 / 4_000, "{held} of {}", notes.0.len());
    }
}
