//! Spreads what would otherwise happen to all sessions at the same moment.

/// Clients are asked to come back within this time, in milliseconds.
pub(crate) const SPREAD_MS: u64 = 2_000;

/// A session's own share of [`SPREAD_MS`], in milliseconds. A multiplicative hash spreads consecutive numbers evenly (Knuth,
/// TAOCP vol. 3, 6.4).
pub(crate) fn spread(session: u64) -> u64 {
    (session.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % SPREAD_MS
}
