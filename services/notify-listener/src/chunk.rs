//! Cuts readings into the stream's entries.

use bus::{EntryId, NewEntry};
use store::log::TickReadings;
use wire::{EntryBuilder, Position};

/// The most readings in an entry.
const ENTRY_READINGS: usize = 1_000;

/// The size that closes an entry.
const ENTRY_BYTES: usize = 256 << 10;

/// The entries for a run of the log; the caller sets the predecessor of the first. A tick's readings are cut
/// the same way by every leader, so entries that are made again get the same ids.
pub(crate) fn entries(ticks: &[TickReadings]) -> Vec<NewEntry> {
    let mut entries = Vec::new();
    let mut predecessor = Position::default();
    for tick in ticks {
        let at_micros = i64::try_from(tick.at.unix_timestamp_nanos() / 1_000).unwrap_or(0);
        let mut entry = EntryBuilder::new(at_micros);
        let mut close = |entry: EntryBuilder| {
            let end = Position::new(tick.epoch, tick.tick, entry.last_id());
            entries.push(NewEntry { id: EntryId::at(end), predecessor, readings: entry.finish() });
            predecessor = end;
        };
        for reading in &tick.readings {
            entry.push(reading.id, &reading.sensor_id, |out| reading.write_json(out));
            if entry.rows() == ENTRY_READINGS || entry.size() >= ENTRY_BYTES {
                close(std::mem::replace(&mut entry, EntryBuilder::new(at_micros)));
            }
        }
        if entry.rows() > 0 {
            close(entry);
        }
    }
    entries
}
