//! A run of one tick's readings, decoded once and encoded once for each form of frame.

use std::{
    mem::size_of,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use store::log::TickReadings;
use wire::{Entry, EntryBuilder, Position, entry::BadEntry, frame};

use crate::{form::write_sse, ws_frame};

/// The subscription number that most connections use; their whole frames are shared, not only the events.
pub const FIRST_SUB: u32 = 1;

/// Readings with where they stand. Everything that a session sends is a slice of what is encoded here.
#[derive(Debug)]
pub struct Batch {
    /// Where the readings before it end.
    pub predecessor: Position,
    /// The position of its last reading.
    pub end: Position,
    entry: Arc<Entry>,
    encoded: OnceLock<Box<Encoded>>,
}

/// What sessions send of it, made when the first one needs it.
#[derive(Debug, Default)]
struct Encoded {
    demo: OnceLock<Pieces>,
    events: OnceLock<Pieces>,
    alone: OnceLock<Pieces>,
    sse: OnceLock<Pieces>,
    whole: OnceLock<Bytes>,
}

/// A batch takes so much beside its readings: itself, its entry's head and both counters.
const BATCH_BYTES: usize = size_of::<Batch>() + size_of::<Entry>() + 4 * size_of::<usize>();

/// Where a reading lies in its entry.
const ROW_BYTES: usize = 40;

/// One buffer, cut into a piece for each reading.
#[derive(Debug)]
pub struct Pieces {
    bytes: Bytes,
    ends: Vec<usize>,
}

impl Pieces {
    fn encode(count: usize, mut write: impl FnMut(usize, &mut Vec<u8>)) -> Self {
        let mut bytes = Vec::new();
        let ends = (0..count)
            .map(|index| {
                write(index, &mut bytes);
                bytes.len()
            })
            .collect();
        Self { bytes: bytes.into(), ends }
    }

    fn start(&self, index: usize) -> usize {
        if index == 0 { 0 } else { self.ends[index - 1] }
    }

    fn cost(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<usize>()
    }

    /// The bytes of all pieces.
    #[expect(clippy::len_without_is_empty, reason = "a batch is never empty")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The piece of one reading.
    pub fn one(&self, index: usize) -> Bytes {
        self.bytes.slice(self.start(index)..self.ends[index])
    }

    /// The pieces from one reading to the last, as they lie.
    pub fn from(&self, index: usize) -> Bytes {
        self.bytes.slice(self.start(index)..)
    }
}

impl Batch {
    /// From the bytes of a stream entry.
    pub fn decode(predecessor: Position, end: Position, readings: Bytes) -> Result<Self, BadEntry> {
        Ok(Self { predecessor, end, entry: Arc::new(Entry::decode(readings)?), encoded: OnceLock::new() })
    }

    /// The same readings, without what was encoded of them.
    pub fn bare(&self) -> Self {
        Self {
            predecessor: self.predecessor,
            end: self.end,
            entry: self.entry.clone(),
            encoded: OnceLock::new(),
        }
    }

    /// From readings of the log, encoded as the leader does.
    pub fn from_log(predecessor: Position, tick: &TickReadings) -> Option<Self> {
        let last = tick.readings.last()?;
        let at_micros = i64::try_from(tick.at.unix_timestamp_nanos() / 1_000).unwrap_or(0);
        let mut entry = EntryBuilder::new(at_micros);
        for reading in &tick.readings {
            entry.push(reading.id, &reading.sensor_id, |out| reading.write_json(out));
        }
        let end = Position::new(tick.epoch, tick.tick, last.id);
        Some(Self::decode(predecessor, end, entry.finish().into()).expect("what was just encoded decodes"))
    }

    /// How many readings it holds.
    pub fn count(&self) -> usize {
        self.entry.rows().len()
    }

    /// Its size in bytes, without what is encoded for sessions.
    pub fn size(&self) -> usize {
        self.entry.size()
    }

    /// The memory that it takes, without what is encoded of it.
    pub fn cost(&self) -> usize {
        BATCH_BYTES + self.entry.size() + ROW_BYTES * self.count()
    }

    /// The memory that what is encoded of it takes now.
    pub fn encoded_cost(&self) -> usize {
        let Some(encoded) = self.encoded.get() else { return 0 };
        let Encoded { demo, events, alone, sse, whole } = &**encoded;
        let pieces = [demo, events, alone, sse].into_iter().filter_map(OnceLock::get).map(Pieces::cost);
        size_of::<Encoded>() + pieces.sum::<usize>() + whole.get().map_or(0, Bytes::len)
    }

    fn encoded(&self) -> &Encoded {
        self.encoded.get_or_init(Box::default)
    }

    /// When its tick was committed, in microseconds since 1970.
    pub fn at_micros(&self) -> i64 {
        self.entry.at_micros
    }

    /// The sensor of each reading.
    pub fn sensors(&self) -> impl Iterator<Item = &str> {
        self.entry.rows().map(|row| row.sensor_id)
    }

    /// A reading's sensor, position and JSON.
    pub fn row(&self, index: usize) -> (&str, Position, &[u8]) {
        let row = self.entry.row(index);
        (row.sensor_id, self.position(row.id), row.data)
    }

    /// The index of the first reading behind a position.
    pub fn first_after(&self, after: Position) -> usize {
        if after <= self.predecessor {
            return 0;
        }
        self.entry.rows().take_while(|row| self.position(row.id) <= after).count()
    }

    fn position(&self, id: i64) -> Position {
        Position { id, ..self.end }
    }

    /// The demo's WebSocket frame of each reading.
    pub fn demo(&self) -> &Pieces {
        self.encoded().demo.get_or_init(|| self.frames(|_, data, text| frame::write_demo_event(data, text)))
    }

    /// The WebSocket frame of each reading as a single event of [`FIRST_SUB`].
    pub fn alone(&self) -> &Pieces {
        let frames = || {
            self.frames(|pos, data, text| {
                frame::write_event_head(FIRST_SUB, text);
                frame::write_event_tail(pos, data, text);
            })
        };
        self.encoded().alone.get_or_init(frames)
    }

    /// Each reading as a server-sent event.
    pub fn sse(&self) -> &Pieces {
        self.encoded().sse.get_or_init(|| self.pieces(|pos, data, out| write_sse(Some(pos), data, out)))
    }

    fn frames(&self, write: impl Fn(Position, &[u8], &mut Vec<u8>)) -> Pieces {
        let mut text = Vec::new();
        self.pieces(|pos, data, out| {
            text.clear();
            write(pos, data, &mut text);
            ws_frame::write_text(&text, out);
        })
    }

    fn pieces(&self, mut write: impl FnMut(Position, &[u8], &mut Vec<u8>)) -> Pieces {
        Pieces::encode(self.count(), |index, out| {
            let (_, pos, data) = self.row(index);
            write(pos, data, out);
        })
    }

    /// What is the same for every subscription in each reading's event.
    pub fn events(&self) -> &Pieces {
        self.encoded().events.get_or_init(|| self.pieces(frame::write_event_tail))
    }

    /// The WebSocket frame with all its events for [`FIRST_SUB`].
    pub fn whole(&self) -> Bytes {
        let encode = || {
            let count = self.count();
            let mut text = Vec::with_capacity(self.size() + 64 * count);
            for index in 0..count {
                text.push(if index == 0 { b'[' } else { b',' });
                frame::write_event_head(FIRST_SUB, &mut text);
                text.extend_from_slice(&self.events().one(index));
            }
            text.push(b']');
            let text = if count == 1 { &text[1..text.len() - 1] } else { &text[..] };
            let mut out = Vec::with_capacity(text.len() + ws_frame::MAX_HEADER);
            ws_frame::write_text(text, &mut out);
            Bytes::from(out)
        };
        self.encoded().whole.get_or_init(encode).clone()
    }
}
