//! A run of one tick's readings, as the sessions share it.

use std::{
    mem::size_of,
    sync::{Arc, OnceLock, Weak},
};

use bytes::Bytes;
use chassis::spans::WorkSpan;
use store::log::TickReadings;
use time::OffsetDateTime;
use wire::{Entry, EntryBuilder, Filter, Position, Provenance, TraceParent, entry::BadEntry};

use crate::{
    encode::frames::{Frames, Traces},
    fanout::selection::{Matched, Selection},
};

/// The span of a batch's way through this gateway.
pub type Trace = Arc<WorkSpan>;

/// When readings were where, in microseconds since 1970 by the clock of Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// The oldest of them was committed, at the earliest.
    pub committed_at: i64,
    /// The feed had them.
    pub taken_at: i64,
}

/// Readings with their positions. Everything that a session sends of them is a slice of its [`Frames`].
#[derive(Debug)]
pub struct Batch {
    /// Where the readings before it end.
    pub predecessor: Position,
    /// The position of its last reading.
    pub end: Position,
    /// When the oldest of them was committed, at the earliest, in microseconds since 1970.
    committed_at: i64,
    /// When the feed had them, if they came through it.
    taken_at: Option<i64>,
    traces: Option<Traces>,
    /// The span of its way through this gateway, as long as it lasts.
    trace: Option<Weak<WorkSpan>>,
    entry: Arc<Entry>,
    frames: OnceLock<Box<Frames>>,
    matched: Matched,
}

/// A batch takes so much beside its readings: itself, its entry's head and both counters.
const BATCH_BYTES: usize = size_of::<Batch>() + size_of::<Entry>() + 4 * size_of::<usize>();

/// The offsets of a reading in its entry.
const ROW_BYTES: usize = 40;

impl Batch {
    /// From the bytes of a stream entry; without its provenance, its readings count as committed with their tick.
    pub fn decode(
        predecessor: Position,
        end: Position,
        provenance: Option<&Provenance>,
        readings: Bytes,
    ) -> Result<Self, BadEntry> {
        let entry = Arc::new(Entry::decode(readings)?);
        let committed_at = provenance.map_or(entry.at_micros, |provenance| provenance.committed_at);
        let traces = provenance.map_or(&[][..], |provenance| &provenance.traces);
        let traces = known(traces, entry.rows().len());
        Ok(Self {
            predecessor,
            end,
            committed_at,
            taken_at: None,
            traces,
            trace: None,
            entry,
            frames: OnceLock::new(),
            matched: Matched::default(),
        })
    }

    /// The feed had it at this time, in microseconds since 1970.
    #[must_use]
    pub fn taken(self, at: i64) -> Self {
        Self { taken_at: Some(at), ..self }
    }

    /// When its readings were where, if they came through the feed.
    pub fn times(&self) -> Option<Times> {
        Some(Times { committed_at: self.committed_at, taken_at: self.taken_at? })
    }

    /// Its way through this gateway has this span.
    #[must_use]
    pub fn within(self, trace: &Trace) -> Self {
        Self { trace: Some(Arc::downgrade(trace)), ..self }
    }

    /// That span, until it has ended.
    pub fn trace(&self) -> Option<Trace> {
        self.trace.as_ref()?.upgrade()
    }

    /// The same readings, without what was encoded of them.
    pub fn bare(&self) -> Self {
        Self {
            predecessor: self.predecessor,
            end: self.end,
            committed_at: self.committed_at,
            taken_at: self.taken_at,
            traces: self.traces.clone(),
            trace: None,
            entry: self.entry.clone(),
            frames: OnceLock::new(),
            matched: self.matched.without_rows(),
        }
    }

    /// From readings of the log, encoded as the leader does.
    pub fn from_log(predecessor: Position, tick: &TickReadings) -> Option<Self> {
        let last = tick.readings.last()?;
        let micros = |at: OffsetDateTime| i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(0);
        let inserted = tick.readings.iter().map(|reading| reading.created_at).min();
        let mut entry = EntryBuilder::new(micros(tick.at));
        for reading in &tick.readings {
            entry.push(reading.id, &reading.sensor_id, |out| reading.write_json(out));
        }
        let end = Position::new(tick.epoch, tick.tick, last.id);
        let committed_at = micros(inserted.unwrap_or(tick.at));
        let provenance = Provenance { committed_at, traces: tick.traces.clone(), ..Provenance::default() };
        let batch = Self::decode(predecessor, end, Some(&provenance), entry.finish().into());
        Some(batch.expect("what was just encoded decodes"))
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
        let traces = self.traces.as_ref().map_or(0, |traces| size_of_val(&**traces));
        BATCH_BYTES + self.entry.size() + ROW_BYTES * self.count() + traces
    }

    /// The memory that what is encoded and known of it takes now.
    pub fn encoded_cost(&self) -> usize {
        self.frames.get().map_or(0, |frames| frames.cost()) + self.matched.cost()
    }

    /// Which of its readings a filter matches.
    pub(crate) fn matched(&self, filter: &Arc<Filter>) -> Selection {
        self.matched.by(filter, || {
            let rows = (0..).zip(self.entry.rows()).filter(|(_, row)| row.is_selected_by(filter));
            Selection::of(rows.map(|(index, _)| index).collect(), self.count())
        })
    }

    /// What is encoded of it.
    pub fn frames(&self) -> &Frames {
        self.frames.get_or_init(|| Box::new(Frames::new(self.entry.clone(), self.end, self.traces.clone())))
    }

    /// When its tick was committed, in microseconds since 1970.
    pub fn at_micros(&self) -> i64 {
        self.entry.at_micros
    }

    /// The sensor of each reading.
    pub fn sensors(&self) -> impl Iterator<Item = &str> {
        self.entry.rows().map(|row| row.sensor_id())
    }

    /// A reading's sensor, position and JSON.
    pub fn row(&self, index: usize) -> (&str, Position, &[u8]) {
        let row = self.entry.row(index);
        (row.sensor_id(), self.position(row.id), row.data)
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
}

/// The trace contexts of readings that are there, of so many: what another process wrote may name others, in any order.
fn known(traces: &[(u32, TraceParent)], readings: usize) -> Option<Traces> {
    let there = traces.iter().filter(|(index, _)| (*index as usize) < readings);
    let mut known: Vec<_> = there.copied().collect();
    known.sort_unstable_by_key(|(index, _)| *index);
    (!known.is_empty()).then(|| known.into())
}
