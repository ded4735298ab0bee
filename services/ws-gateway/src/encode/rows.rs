//! Which of a batch's readings are written.

use super::frames::Pieces;
use crate::outbox::Outbox;

/// Readings of a batch, by their index.
#[derive(Debug)]
pub(crate) enum Rows {
    /// From this one to the last.
    From(usize),
    /// These, ascending.
    These(Vec<usize>),
}

impl Rows {
    /// How many they are, of so many.
    pub(crate) fn count(&self, of: usize) -> usize {
        match self {
            Self::From(first) => of - first,
            Self::These(rows) => rows.len(),
        }
    }

    /// The indices, of so many readings.
    pub(super) fn indices(&self, of: usize) -> Box<dyn Iterator<Item = usize> + '_> {
        match self {
            Self::From(first) => Box::new(*first..of),
            Self::These(rows) => Box::new(rows.iter().copied()),
        }
    }

    /// Writes the piece of each.
    pub(super) fn push(&self, pieces: &Pieces, out: &mut Outbox) {
        match self {
            Self::From(first) => out.push_part(pieces.from(*first), pieces.len()),
            Self::These(rows) => rows.iter().for_each(|row| out.push_part(pieces.one(*row), pieces.len())),
        }
    }
}
