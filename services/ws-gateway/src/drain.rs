//! The end of a gateway's connections when the service stops: each is asked to leave, in paced slices.

use std::time::Duration;

use chassis::Life;
use instruments::IntGauge;
use tokio::time::sleep;
use wire::Close;

use crate::{
    admission::roster::Roster,
    fanout::mailbox::{Leave, Mailbox},
    jitter::spread,
};

/// From the first notice to the last. Well within the 15 s that the demo's clients wait and chassis' limit for a drain.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// Slices of the drain.
const SLICES: usize = 50;

/// Waits for the stop, then asks everyone who is connected to leave.
pub(crate) async fn drain(roster: Roster, life: Life, draining: IntGauge) {
    life.stopping().await;
    draining.set(1);
    let mut all = roster.all();
    tracing::info!(connections = all.len(), "draining");
    let slice = all.len().div_ceil(SLICES).max(1);
    while !all.is_empty() {
        all.drain(all.len().saturating_sub(slice)..).for_each(|mailbox| ask_to_leave(&mailbox));
        if !all.is_empty() {
            sleep(DRAIN_WITHIN / SLICES as u32).await;
        }
    }
    // those whose handshake was under way when the list was made
    roster.all().iter().for_each(|mailbox| ask_to_leave(mailbox));
}

fn ask_to_leave(mailbox: &Mailbox) {
    mailbox.leave(Leave { close: Close::Drain, after_ms: spread(mailbox.session) });
}
