//! Pages of the log that were read lately, for other sessions whose position lies in them.

use std::collections::{BTreeMap, VecDeque};

use wire::Position;

use crate::fanout::log::LogPage;

/// Memory of the pages that are kept, with what is encoded of them.
const KEEP_BYTES: usize = 32 << 20;

/// The same of their readings alone: what sessions encode after a page was kept takes up to six times as much.
const KEEP_READINGS: usize = 8 << 20;

/// Pages by where they begin. A page never changes: its ticks do not.
#[derive(Debug, Default)]
pub(super) struct Pages {
    pages: BTreeMap<Position, LogPage>,
    /// The pages' beginnings, in the order in which they were read.
    age: VecDeque<Position>,
}

impl Pages {
    /// The page that holds what comes right behind `after`; it may begin before.
    pub(super) fn find(&self, after: Position) -> Option<LogPage> {
        let (_, page) = self.pages.range(..=after).next_back()?;
        (after < page.covered && after.epoch == page.covered.epoch).then(|| page.clone())
    }

    /// Keeps a page that begins behind `after`.
    pub(super) fn keep(&mut self, after: Position, page: LogPage) {
        // the end of the log moves on, and an empty page is of no use to others
        if page.covered <= after || page.batches.is_empty() {
            return;
        }
        if self.pages.insert(after, page).is_none() {
            self.age.push_back(after);
        }
        let (mut readings, mut encoded) = self.cost();
        while (readings > KEEP_READINGS || readings + encoded > KEEP_BYTES)
            && let Some(oldest) = self.age.pop_front()
        {
            let (old_readings, old_encoded) = self.pages.remove(&oldest).map_or((0, 0), |old| cost(&old));
            // what is encoded meanwhile was not counted
            (readings, encoded) = (readings - old_readings, encoded.saturating_sub(old_encoded));
        }
    }

    /// What the pages take: their readings, and what is encoded of them.
    fn cost(&self) -> (usize, usize) {
        self.pages.values().map(cost).fold((0, 0), |sum, page| (sum.0 + page.0, sum.1 + page.1))
    }
}

fn cost(page: &LogPage) -> (usize, usize) {
    let batches = page.batches.iter();
    batches.fold((0, 0), |sum, batch| (sum.0 + batch.cost(), sum.1 + batch.encoded_cost()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use store::log::TickReadings;
    use time::macros::datetime;
    use wire::{Epoch, Reading, Tick};

    use super::*;
    use crate::encode::encode_all;
    use crate::fanout::batch::Batch;

    fn at(tick: i64) -> Position {
        Position::after_tick(Epoch(1), Tick(tick))
    }

    /// A page of one tick with readings of so many bytes in all.
    fn page(after: i64, covered: i64, bytes: usize) -> LogPage {
        const EACH: usize = 32 << 10;
        let time = datetime!(2026-11-23 08:00 UTC);
        let readings = (0..bytes.div_ceil(EACH)).map(|index| Reading {
            id: covered * 1_000 + index as i64,
            sensor_id: "s".to_owned(),
            value: 1.0,
            timestamp: time,
            metadata: format!("\"{}\"", "x".repeat(bytes.min(EACH))),
            created_at: time,
            updated_at: time,
        });
        let tick = TickReadings::new(Epoch(1), Tick(covered), time, readings.collect());
        let batch = Arc::new(Batch::from_log(at(after), &tick).unwrap());
        LogPage { batches: [batch].into(), covered: at(covered) }
    }

    #[test]
    fn a_page_is_found_by_every_position_in_it() {
        let mut pages = Pages::default();
        pages.keep(at(10), page(10, 20, 1));
        for (tick, found) in [(9, false), (10, true), (15, true), (19, true), (20, false)] {
            assert_eq!(pages.find(at(tick)).is_some(), found, "{tick}");
        }
        let elsewhere = Position::after_tick(Epoch(2), Tick(15));
        assert!(pages.find(elsewhere).is_none(), "another history");
    }

    #[test]
    fn what_sessions_encode_of_a_page_is_counted_with_it() {
        let mut pages = Pages::default();
        for tick in (10..500).step_by(10) {
            pages.keep(at(tick), page(tick, tick + 10, 1 << 20));
            let batch = pages.find(at(tick)).unwrap().batches[0].clone();
            encode_all(batch.frames());
        }
        let (readings, encoded) = pages.cost();
        assert!(readings + encoded < KEEP_BYTES + (8 << 20), "{readings} and {encoded}");
    }

    #[test]
    fn the_end_of_the_log_is_not_kept_and_the_oldest_go_first() {
        let mut pages = Pages::default();
        pages.keep(at(5), LogPage { batches: [].into(), covered: at(9) });
        assert!(pages.find(at(5)).is_none());
        let half = KEEP_READINGS / 2;
        for tick in [10, 20, 30] {
            pages.keep(at(tick), page(tick, tick + 5, half));
        }
        assert!(pages.find(at(10)).is_none());
        assert!(pages.find(at(30)).is_some());
        assert!(pages.cost().0 <= KEEP_READINGS);
    }
}
