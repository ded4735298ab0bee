//! Durations as Postgres has them.

use std::time::Duration;

use sqlx::postgres::types::PgInterval;

/// The same length, cut to microseconds.
pub(crate) fn interval(length: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: i64::try_from(length.as_micros()).unwrap_or(i64::MAX) }
}
