//! Why a query of history has no answer.

use chassis::{Problem, Query};
use http::StatusCode;
use store::{ReadError, history::BucketError};

/// When to come back, in seconds.
const RETRY_AFTER: u32 = 1;

/// The database could not be read. A query that took too long has a code of its own.
pub(super) fn unreadable(error: &store::Error) -> Problem {
    if error.is_timeout() {
        let detail = "the query takes too long: ask for fewer sensors or less time";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-much", detail).retry_after(RETRY_AFTER);
    }
    tracing::warn!(error = error as &dyn std::error::Error, "history could not be read");
    let detail = "the database does not answer in time";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", detail).retry_after(RETRY_AFTER)
}

/// Buckets that could not be read.
pub(super) fn no_buckets(error: &BucketError) -> Problem {
    match error {
        BucketError::TooManySensors => Query::refusal("sensor", error.to_string()),
        BucketError::Database(error) => unreadable(error),
    }
}

/// A page as of a position that could not be read.
pub(super) fn no_latest(error: &ReadError) -> Problem {
    match error {
        ReadError::Forgotten(_) => cursor_expired(),
        ReadError::Database(error) => unreadable(error),
    }
}

/// The position that a cursor names can no longer be read.
pub(super) fn cursor_expired() -> Problem {
    Problem::new(StatusCode::GONE, "cursor-gone", "cursor expired: restart without it")
}
