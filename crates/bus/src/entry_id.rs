//! The id of a stream entry: its tick, and the id of its last reading.

use std::{fmt, str::FromStr};

use wire::{Epoch, Position, Tick};

/// `<tick>-<id>`, as Redis orders it. [`Position::WHOLE_TICK`] is after every entry of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryId {
    /// The tick that the entry's readings belong to.
    pub tick: Tick,
    /// The id of its last reading.
    pub last_id: i64,
}

impl EntryId {
    /// The id of a position.
    pub const fn at(position: Position) -> Self {
        Self { tick: position.tick, last_id: position.id }
    }

    /// The position of this id.
    pub const fn position(self, epoch: Epoch) -> Position {
        Position::new(epoch, self.tick, self.last_id)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.tick.0, self.last_id)
    }
}

impl FromStr for EntryId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (tick, last_id) = text.split_once('-').unwrap_or((text, ""));
        Ok(Self { tick: Tick(tick.parse()?), last_id: last_id.parse()? })
    }
}
