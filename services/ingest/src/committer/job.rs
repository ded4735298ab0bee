//! A request's readings on their way to the database.

use instruments::IntGauge;
use store::NewReading;
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::Instant,
};
use wire::Reading;

/// Why readings were not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotStored {
    /// The queue is full.
    #[error("too many readings wait to be stored")]
    Full,
    /// The database is down, slow, or gave no answer in time.
    #[error("the database does not answer in time")]
    Unavailable,
    /// The database refused these readings, whatever the others.
    #[error("the database refuses these readings")]
    BadData,
    /// Metadata that is too large once it is stored.
    #[error("a reading's metadata has at most 1 MiB in the form in which it is stored")]
    TooLarge,
}

/// The readings, and where the answer goes.
pub(super) struct Job {
    pub(super) readings: Vec<NewReading>,
    pub(super) deadline: Instant,
    pub(super) reply: oneshot::Sender<Result<Vec<Reading>, NotStored>>,
    pub(super) _memory: Memory,
}

/// A job's part of the queue's bytes, counted until it is dropped.
pub(super) struct Memory {
    bytes: i64,
    queued: IntGauge,
    _permit: OwnedSemaphorePermit,
}

impl Memory {
    pub(super) fn count(permit: OwnedSemaphorePermit, queued: &IntGauge) -> Self {
        let bytes = i64::try_from(permit.num_permits()).unwrap_or(i64::MAX);
        queued.add(bytes);
        Self { bytes, queued: queued.clone(), _permit: permit }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.queued.sub(self.bytes);
    }
}
