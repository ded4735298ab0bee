//! What questions about the past cost, in rows.

use wire::Start;

/// The largest page: a burst has at least as many, so that waiting always helps.
pub(crate) const MAX_ROWS: u32 = 10_000;

/// A request with a small limit has the database search all the same.
const REQUEST: usize = 100;

/// How far a subscription will read before it is live is not known when it begins.
const SUBSCRIPTION: usize = 1_000;

/// A request for so many rows.
pub(crate) fn of_request(limit: usize) -> usize {
    limit.max(REQUEST)
}

/// A subscription that begins there; none: it reads nothing of the past.
pub(crate) fn of_subscription(from: &Start) -> Option<usize> {
    match from {
        Start::Now => None,
        Start::After(_) | Start::Last(_) | Start::Latest => Some(SUBSCRIPTION),
    }
}
