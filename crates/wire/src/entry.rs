//! The stream's entry: a run of one tick's readings, encoded once by the leader and forwarded as bytes.
//!
//! Layout, little endian: version `u8` = 1, the tick's commit time in microseconds since 1970 `i64`, then for each
//! reading its id `i64`, the length of its sensor id `u16`, the length of its JSON `u32`, the two texts.

use bytes::{Buf, Bytes};
use std::ops::Range;

use crate::filter::Filter;

const VERSION: u8 = 1;
const HEADER: usize = 1 + 8;
const ROW_HEADER: usize = 8 + 2 + 4;

/// Collects readings into an entry's bytes.
#[derive(Debug)]
pub struct EntryBuilder {
    bytes: Vec<u8>,
    rows: usize,
    last_id: i64,
}

impl EntryBuilder {
    /// An entry of a tick that was committed at `at_micros`.
    pub fn new(at_micros: i64) -> Self {
        let mut bytes = Vec::with_capacity(512);
        bytes.push(VERSION);
        bytes.extend_from_slice(&at_micros.to_le_bytes());
        Self { bytes, rows: 0, last_id: 0 }
    }

    /// Adds a reading; `data` appends its JSON.
    pub fn push(&mut self, id: i64, sensor_id: &str, data: impl FnOnce(&mut Vec<u8>)) {
        let sensor_len = u16::try_from(sensor_id.len()).expect("the schema bounds a sensor id");
        self.bytes.extend_from_slice(&id.to_le_bytes());
        self.bytes.extend_from_slice(&sensor_len.to_le_bytes());
        let length_at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(sensor_id.as_bytes());
        let data_at = self.bytes.len();
        data(&mut self.bytes);
        let data_len = u32::try_from(self.bytes.len() - data_at).expect("Postgres bounds a row to 1 GiB");
        self.bytes[length_at..length_at + 4].copy_from_slice(&data_len.to_le_bytes());
        self.rows += 1;
        self.last_id = id;
    }

    /// How many readings it holds.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The id of its last reading.
    pub fn last_id(&self) -> i64 {
        self.last_id
    }

    /// The bytes to append.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// The bytes are not a valid entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadEntry {
    /// Written by a later release.
    #[error("unknown entry version {0}")]
    Version(u8),
    /// Truncated, or with lengths that do not fit.
    #[error("malformed entry")]
    Malformed,
}

/// A decoded entry: one buffer, with the place of each reading in it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When the tick was committed, in microseconds since 1970.
    pub at_micros: i64,
    bytes: Bytes,
    rows: Vec<Row>,
}

#[derive(Debug, Clone)]
struct Row {
    id: i64,
    sensor: Range<usize>,
    data: Range<usize>,
}

/// One reading of an entry.
#[derive(Debug, Clone, Copy)]
pub struct EntryRow<'a> {
    /// Its id.
    pub id: i64,
    /// Its JSON object.
    pub data: &'a [u8],
    sensor: &'a [u8],
}

impl<'a> EntryRow<'a> {
    /// Its sensor.
    pub fn sensor_id(&self) -> &'a str {
        std::str::from_utf8(self.sensor).expect("checked by decode")
    }

    /// Whether a filter selects it.
    pub fn is_selected_by(&self, filter: &Filter) -> bool {
        filter.matches_bytes(self.sensor)
    }
}

impl Entry {
    /// Reads an entry, checking every length; the JSON itself is not checked.
    pub fn decode(bytes: Bytes) -> Result<Self, BadEntry> {
        let mut rest = bytes.clone();
        if rest.len() < HEADER {
            return Err(BadEntry::Malformed);
        }
        let version = rest.get_u8();
        if version != VERSION {
            return Err(BadEntry::Version(version));
        }
        let at_micros = rest.get_i64_le();
        let mut rows = Vec::new();
        while rest.has_remaining() {
            if rest.len() < ROW_HEADER {
                return Err(BadEntry::Malformed);
            }
            let id = rest.get_i64_le();
            let sensor_len = usize::from(rest.get_u16_le());
            let data_len = usize::try_from(rest.get_u32_le()).map_err(|_| BadEntry::Malformed)?;
            if rest.len() < sensor_len + data_len {
                return Err(BadEntry::Malformed);
            }
            let start = bytes.len() - rest.len();
            let sensor = start..start + sensor_len;
            let data = sensor.end..sensor.end + data_len;
            std::str::from_utf8(&bytes[sensor.clone()]).map_err(|_| BadEntry::Malformed)?;
            rest.advance(sensor_len + data_len);
            rows.push(Row { id, sensor, data });
        }
        if rows.is_empty() { Err(BadEntry::Malformed) } else { Ok(Self { at_micros, bytes, rows }) }
    }

    /// Its readings, in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = EntryRow<'_>> {
        (0..self.rows.len()).map(|index| self.row(index))
    }

    /// The reading at an index below the number of its rows.
    pub fn row(&self, index: usize) -> EntryRow<'_> {
        let row = &self.rows[index];
        let bytes = |range: &Range<usize>| &self.bytes[range.clone()];
        EntryRow { id: row.id, data: bytes(&row.data), sensor: bytes(&row.sensor) }
    }

    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_entry_reads_back(rows in prop::collection::vec((1..i64::MAX, ".{1,20}", ".{0,40}"), 1..20)) {
            let mut builder = EntryBuilder::new(5);
            for (id, sensor, data) in &rows {
                builder.push(*id, sensor, |out| out.extend_from_slice(data.as_bytes()));
            }
            let entry = Entry::decode(builder.finish().into()).unwrap();
            prop_assert_eq!(entry.at_micros, 5);
            let back: Vec<_> = entry.rows()
                .map(|r| (r.id, r.sensor_id().to_owned(), String::from_utf8(r.data.to_vec()).unwrap()))
                .collect();
            prop_assert_eq!(back, rows);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Entry::decode(bytes.into());
        }

        #[test]
        fn a_truncated_entry_is_refused(cut in 1usize..40) {
            let mut builder = EntryBuilder::new(5);
            builder.push(1, "sensor", |out| out.extend_from_slice(b"{\"some\":\"data of a reading\"}"));
            let whole = builder.finish();
            prop_assert!(Entry::decode(Bytes::from(whole[..whole.len() - cut].to_vec())).is_err());
        }
    }
}
