//! The largest requests that are taken.

use time::Duration;

/// The largest body with one reading, in bytes.
pub(crate) const OBJECT_BYTES: usize = 64 << 10;

/// The largest body with several, in bytes.
pub(crate) const ARRAY_BYTES: usize = 1 << 20;

/// The most readings in one request.
pub(crate) const MAX_READINGS: usize = 1_000;

/// The most readings that the lines of one request may make. Telegraf writes 1,000 lines at once unless it is told otherwise.
pub(crate) const MAX_LINE_READINGS: usize = 10_000;

/// The most bytes of their metadata, which each number of a line has.
pub(crate) const SPREAD_BYTES: usize = 8 << 20;

/// The most characters of a reading's key.
pub(crate) const KEY_MAX: usize = 128;

/// The most faults that one answer lists.
pub(crate) const MAX_FAULTS: usize = 100;

/// How far ahead of our clock a device's may be.
pub(crate) const MAX_AHEAD: Duration = Duration::hours(24);
