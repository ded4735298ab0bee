//! Checks that the memory of Redis is large enough for the stream, and that the stream is not evicted from it.

use std::time::Duration;

use bus::Memory;
use chassis::{Condition, Fault, Life};

/// How often the server is checked.
const EVERY: Duration = Duration::from_secs(30);

/// Checks now and from time to time, until the process stops. Forwarding continues as well as it can, so this replica stays
/// ready.
pub(crate) async fn watch(stream: bus::Options, condition: Condition, life: Life) {
    condition.hold();
    loop {
        // a Redis that does not answer is reported by the forwarder
        if let Ok(Some(memory)) = Memory::of(&stream).await {
            condition.set(memory.check().map_err(|fault| Fault::of(&fault, true)));
        }
        if life.soft().run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}
