//! A request's readings on their way to the database.

use store::{
    NewReading,
    readings::once::{Answer, Once, Scoped},
};
use tokio::{sync::oneshot, time::Instant};
use wire::Reading;

use super::{kind::Kind, not_stored::NotStored, shares::Memory};
use crate::{request_key::RequestKey, writer::Writer};

/// What a request was stored as.
pub(crate) enum Stored {
    /// As they are in the table.
    Readings(Vec<Reading>),
    /// The answer to a request that has a key.
    Answer {
        /// The same each time.
        answer: Answer,
        /// It was given before.
        is_replayed: bool,
    },
}

/// The readings, and where the answer goes.
pub(super) struct Job {
    pub(super) writer: Writer,
    pub(super) readings: Vec<NewReading>,
    pub(super) request: Option<RequestKey>,
    /// Those of a partial request that the table refuses, in their order.
    pub(super) refused: Vec<(usize, NotStored)>,
    pub(super) deadline: Instant,
    pub(super) reply: oneshot::Sender<Result<Stored, NotStored>>,
    pub(super) kind: Kind,
    pub(super) memory: Memory,
}

impl Job {
    /// What it takes of the queue.
    pub(super) fn bytes(&self) -> usize {
        self.memory.bytes()
    }

    /// Whether any reading has a key.
    pub(super) fn has_reading_keys(&self) -> bool {
        self.readings.iter().any(|reading| reading.key.is_some())
    }

    /// Whether it, or a reading, has a key.
    pub(super) fn has_keys(&self) -> bool {
        self.request.is_some() || self.has_reading_keys()
    }

    /// The readings that are to be stored, with the scope of their keys.
    pub(super) fn scoped(&self) -> impl Iterator<Item = Scoped<'_>> {
        let mut refused = self.refused.iter().map(|(place, _)| *place).peekable();
        self.readings.iter().enumerate().filter_map(move |(place, reading)| {
            let is_refused = refused.next_if_eq(&place).is_some();
            (!is_refused).then_some(Scoped { scope: &self.writer.scope, reading })
        })
    }

    /// What became of each of its readings, given what was stored of them.
    pub(super) fn results(&self, stored: &mut impl Iterator<Item = Once>) -> Vec<Result<Reading, NotStored>> {
        let mut refused = self.refused.iter().peekable();
        let result = |place| match refused.next_if(|(refused, _)| *refused == place) {
            Some((_, error)) => Err(*error),
            None => stored.next().map(|once| once.reading).ok_or(NotStored::Unavailable),
        };
        (0..self.readings.len()).map(result).collect()
    }

    /// Answers the request.
    pub(super) fn reply(self, outcome: Result<Stored, NotStored>) {
        // a client that hung up needs no answer
        let _ = self.reply.send(outcome);
    }
}
