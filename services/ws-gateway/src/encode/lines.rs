//! Lines of JSON: the answer to a pull.

use serde_json::json;
use wire::{Position, frame::Gap};

use super::{frames::Frames, v1::events};

/// Appends a reading of a batch.
pub(crate) fn write_reading(frames: &Frames, row: usize, lines: &mut Vec<u8>) {
    lines.push(b'{');
    lines.extend_from_slice(&events(frames).one(row));
    lines.push(b'\n');
}

/// Appends a gap.
pub(crate) fn write_gap(gap: Gap, lines: &mut Vec<u8>) {
    lines.extend_from_slice(format!("{}\n", json!({ "gap": gap })).as_bytes());
}

/// Appends the last line: where to go on, and whether there is more already.
pub(crate) fn write_end(next: Position, more: bool, lines: &mut Vec<u8>) {
    lines.extend_from_slice(format!("{{\"next\":\"{next}\",\"more\":{more}}}\n").as_bytes());
}
