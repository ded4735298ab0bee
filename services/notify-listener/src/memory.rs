//! Says so when the memory of Redis is too small for the stream, or the stream may be evicted from it.

use std::time::Duration;

use bus::Memory;
use chassis::{Condition, Fault, Life};

/// How often the server is asked.
const EVERY: Duration = Duration::from_secs(30);

/// Looks now and from time to time, until the process stops. Forwarding goes on as well as it can, so that this replica stays
/// ready.
pub(crate) async fn watch(stream: bus::Options, condition: Condition, life: Life) {
    condition.hold();
    loop {
        // what cannot be asked is told by whoever forwards
        if let Ok(Some(memory)) = Memory::of(&stream).await {
            condition.set(memory.check().map_err(|fault| Fault::of(&fault, true)));
        }
        if life.soft().run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}
