//! What the sessions of a gateway share: a tick's readings, encoded once for each protocol that asks for them.

use std::{
    mem::size_of,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use wire::{Entry, Position, TraceParent};

/// The subscription number that most connections use; their whole frames are shared, not only the events.
pub const FIRST_SUB: u32 = 1;

/// The encodings of a tick's readings, made when the first session needs them.
#[derive(Debug)]
pub struct Frames {
    entry: Arc<Entry>,
    /// The position of the last reading.
    end: Position,
    /// The trace contexts of its readings.
    traces: Option<Traces>,
    /// The demo's frame of each reading.
    pub(super) demo: OnceLock<Pieces>,
    /// What is the same for every subscription in each reading's event of v1.
    pub(super) events: OnceLock<Pieces>,
    /// The frame of each reading as a single event of [`FIRST_SUB`].
    pub(super) alone: OnceLock<Pieces>,
    /// Each reading as a server-sent event.
    pub(super) sse: OnceLock<Pieces>,
    /// The frame with all events for [`FIRST_SUB`].
    pub(super) whole: OnceLock<Bytes>,
}

/// The trace contexts of a batch's readings, by index, ascending. Most batches have none.
pub type Traces = Arc<[(u32, TraceParent)]>;

/// That of one reading.
pub(super) fn trace_of(traces: &[(u32, TraceParent)], row: usize) -> Option<TraceParent> {
    let found = traces.binary_search_by_key(&row, |(index, _)| *index as usize).ok()?;
    Some(traces[found].1)
}

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

impl Frames {
    /// Of an entry whose last reading has this position.
    pub(crate) fn new(entry: Arc<Entry>, end: Position, traces: Option<Traces>) -> Self {
        Self {
            entry,
            end,
            traces,
            demo: OnceLock::new(),
            events: OnceLock::new(),
            alone: OnceLock::new(),
            sse: OnceLock::new(),
            whole: OnceLock::new(),
        }
    }

    /// How many readings there are.
    pub(crate) fn count(&self) -> usize {
        self.entry.rows().len()
    }

    /// The memory that they take now, in bytes.
    pub(crate) fn cost(&self) -> usize {
        let pieces = [&self.demo, &self.events, &self.alone, &self.sse];
        let pieces = pieces.into_iter().filter_map(OnceLock::get).map(Pieces::cost);
        size_of::<Self>() + pieces.sum::<usize>() + self.whole.get().map_or(0, Bytes::len)
    }

    /// The trace contexts of the readings, if any has one.
    pub(super) fn traces(&self) -> Option<&Traces> {
        self.traces.as_ref()
    }

    /// A piece for each reading.
    pub(super) fn encode(&self, mut write: impl FnMut(Position, &[u8], &mut Vec<u8>)) -> Pieces {
        Pieces::encode(self.count(), |index, out| {
            let row = self.entry.row(index);
            write(Position { id: row.id, ..self.end }, row.data, out);
        })
    }
}
