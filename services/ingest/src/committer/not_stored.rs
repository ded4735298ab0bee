//! Why readings, or a batch of them, were not stored.

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
    /// A request with the same key is being stored.
    #[error("a request with this Idempotency-Key is being stored")]
    KeyInUse,
    /// Another request had the same key.
    #[error("this Idempotency-Key was used for another request")]
    KeyReused,
}

/// Why a batch was not stored.
pub(super) enum NotKeyed {
    /// For each of its jobs the same.
    All(NotStored),
    /// The table refuses a reading of one of them.
    Refused(NotStored),
    /// Another transaction has held the key of a reading for too long.
    Held,
}
