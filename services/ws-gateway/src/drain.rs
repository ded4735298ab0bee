//! The end of a gateway's connections when the service stops: each is told to go, in paced slices.

use std::time::Duration;

use chassis::Life;
use prometheus::IntGauge;
use tokio::time::sleep;
use wire::Close;

use crate::{mailbox::Leave, roster::Roster};

/// From the first farewell to the last. Well within the demo's patience of 15 s and chassis' limit for a drain.
const SPREAD: Duration = Duration::from_secs(5);

/// Slices of the spread.
const SLICES: usize = 50;

/// Clients come back spread over this time from their farewell on, in milliseconds.
pub(crate) const COME_BACK_WITHIN_MS: u64 = 2_000;

/// Waits for the stop, then says farewell to everyone who is connected.
pub(crate) async fn drain(roster: Roster, life: Life, draining: IntGauge) {
    life.stopping().await;
    draining.set(1);
    let mut all = roster.all();
    tracing::info!(connections = all.len(), "draining");
    let slice = all.len().div_ceil(SLICES).max(1);
    while !all.is_empty() {
        for mailbox in all.drain(all.len().saturating_sub(slice)..) {
            mailbox.leave(Leave { close: Close::Drain, after_ms: spread(mailbox.session) });
        }
        if !all.is_empty() {
            sleep(SPREAD / SLICES as u32).await;
        }
    }
    // those whose handshake was under way when the list was made
    for mailbox in roster.all() {
        mailbox.leave(Leave { close: Close::Drain, after_ms: spread(mailbox.session) });
    }
}

/// When a session's client should come back. A multiplicative hash spreads consecutive numbers evenly (Knuth, TAOCP
/// vol. 3, 6.4).
pub(crate) fn spread(session: u64) -> u64 {
    (session.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % COME_BACK_WITHIN_MS
}
