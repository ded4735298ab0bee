//! Cuts readings into the stream's entries.

use bus::{EntryId, NewEntry};
use store::log::TickReadings;
use time::OffsetDateTime;
use wire::{EntryBuilder, Position, Provenance};

/// The most readings in an entry.
const ENTRY_READINGS: usize = 1_000;

/// The size that closes an entry.
const ENTRY_BYTES: usize = 256 << 10;

/// What is known of the readings before they are cut.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Before {
    /// The first reading comes after this.
    pub(crate) position: Position,
    /// How many readings the epoch has up to there, where that is within a tick.
    pub(crate) count: Option<i64>,
    /// When it was seen that none of them was committed yet, in microseconds since 1970.
    pub(crate) looked_at: i64,
}

/// The entries for a run of the log; the caller sets the predecessor of the first, and when they are appended. A tick's readings
/// are cut the same way by every leader, so entries that are made again get the same ids.
pub(crate) fn entries(ticks: &[TickReadings], before: Before) -> Vec<NewEntry> {
    let mut entries = Vec::new();
    let mut predecessor = Position::default();
    for tick in ticks {
        let mut cut = Cut::begin(tick, before);
        for (index, reading) in tick.readings.iter().enumerate() {
            cut.entry.push(reading.id, &reading.sensor_id, |out| reading.write_json(out));
            let is_last = index + 1 == tick.readings.len();
            if is_last || cut.entry.rows() == ENTRY_READINGS || cut.entry.size() >= ENTRY_BYTES {
                entries.push(cut.close(&mut predecessor));
            }
        }
    }
    entries
}

/// When the oldest of a tick's readings was committed, at the earliest, in microseconds since 1970: not before it was inserted,
/// and not before it was seen to be missing. Behind the tick only if the clocks differ.
pub(crate) fn committed_at(tick: &TickReadings, before: Before) -> i64 {
    let inserted = tick.readings.iter().map(|reading| reading.created_at).min();
    inserted.map_or(0, micros).max(before.looked_at)
}

pub(crate) fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(0)
}

/// A tick that is being cut.
struct Cut<'a> {
    tick: &'a TickReadings,
    committed_at: i64,
    entry: EntryBuilder,
    /// How many of the tick's readings are in entries that were closed.
    closed: usize,
    /// How many readings of the epoch come before the entry.
    count: Option<i64>,
}

impl<'a> Cut<'a> {
    fn begin(tick: &'a TickReadings, before: Before) -> Self {
        let is_part = before.position.tick == tick.tick && !before.position.ends_tick();
        let count = if is_part { before.count } else { tick.total.map(|total| total - tick.rows) };
        let committed_at = committed_at(tick, before);
        Self { tick, committed_at, entry: EntryBuilder::new(micros(tick.at)), closed: 0, count }
    }

    fn close(&mut self, predecessor: &mut Position) -> NewEntry {
        let entry = std::mem::replace(&mut self.entry, EntryBuilder::new(micros(self.tick.at)));
        let end = Position::new(self.tick.epoch, self.tick.tick, entry.last_id());
        // the stream's own count is what another process wrote
        self.count = self.count.map(|count| count.saturating_add(entry.rows() as i64));
        let first = self.closed;
        self.closed += entry.rows();
        let own =
            self.tick.traces.iter().filter(|(index, _)| (first..self.closed).contains(&(*index as usize)));
        let provenance = Provenance {
            count: self.count,
            committed_at: self.committed_at,
            appended_at: 0,
            traces: own.map(|(index, trace)| (index - first as u32, *trace)).collect(),
            span: None,
        };
        let before = std::mem::replace(predecessor, end);
        NewEntry { id: EntryId::at(end), predecessor: before, provenance, readings: entry.finish() }
    }
}

#[cfg(test)]
mod tests {
    use time::{Duration, macros::datetime};
    use wire::{Epoch, Reading, Tick};

    use super::*;

    const AT: OffsetDateTime = datetime!(2026-11-23 08:00 UTC);
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    /// A tick of so many readings, which the epoch has `total` of at its end.
    fn tick(readings: i64, total: i64) -> TickReadings {
        let reading = |id| Reading {
            id,
            sensor_id: "s".to_owned(),
            value: 1.0,
            timestamp: AT,
            metadata: "{}".to_owned(),
            created_at: AT - Duration::seconds(id),
            updated_at: AT,
        };
        let readings = (1..=readings).map(reading).collect();
        TickReadings { total: Some(total), ..TickReadings::new(Epoch(1), Tick(5), AT, readings) }
    }

    fn counts(entries: &[NewEntry]) -> Vec<Option<i64>> {
        entries.iter().map(|entry| entry.provenance.count).collect()
    }

    #[test]
    fn entries_count_the_readings_of_the_epoch() {
        let whole = tick(2_500, 10_000);
        assert_eq!(counts(&entries(&[whole], Before::default())), [Some(8_500), Some(9_500), Some(10_000)]);
        // the rest of the same tick, behind its first 1,000
        let mut rest = TickReadings { rows: 2_500, ..tick(1_500, 10_000) };
        rest.readings.iter_mut().for_each(|reading| reading.id += 1_000);
        let position = Position::new(Epoch(1), Tick(5), 1_000);
        let before = Before { position, count: Some(8_500), ..Before::default() };
        assert_eq!(counts(&entries(&[rest], before)), [Some(9_500), Some(10_000)]);
    }

    #[test]
    fn what_a_tick_lacks_shows_in_the_count_of_the_next() {
        let lacking = TickReadings { rows: 3, ..tick(2, 13) };
        let mut next = tick(1, 14);
        next.tick = Tick(6);
        assert_eq!(counts(&entries(&[lacking, next], Before::default())), [Some(12), Some(14)]);
    }

    #[test]
    fn a_trace_stays_with_its_reading() {
        let mut traced = tick(1_500, 1_500);
        traced.traces = vec![(3, TRACE.parse().unwrap()), (1_200, TRACE.parse().unwrap())];
        let cut = entries(&[traced], Before::default());
        let indexes =
            |entry: &NewEntry| entry.provenance.traces.iter().map(|(at, _)| *at).collect::<Vec<_>>();
        assert_eq!(cut.iter().map(indexes).collect::<Vec<_>>(), [vec![3], vec![200]]);
    }

    #[test]
    fn readings_are_as_old_as_their_insert_unless_they_were_missing_later() {
        let three = tick(3, 3);
        let inserted = micros(AT - Duration::seconds(3));
        assert_eq!(committed_at(&three, Before::default()), inserted);
        let before = Before { looked_at: inserted + 1_000_000, ..Before::default() };
        assert_eq!(committed_at(&three, before), inserted + 1_000_000);
        let late = Before { looked_at: micros(AT) + 5, ..Before::default() };
        assert_eq!(committed_at(&three, late), micros(AT) + 5, "a clock that is ahead is not hidden");
    }
}
