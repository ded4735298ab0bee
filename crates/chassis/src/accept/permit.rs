//! What an open connection holds of the port.

use std::sync::Arc;

use prometheus::IntGauge;
use tokio::sync::OwnedSemaphorePermit;

/// A connection's place under `max_connections`, in the extensions of each of its requests. Whoever upgrades the
/// connection keeps it as long as the socket lives; else the place is free again while the socket is still open.
#[derive(Clone)]
pub struct Seat {
    _held: Arc<Held>,
}

struct Held {
    open: IntGauge,
    _permit: OwnedSemaphorePermit,
}

impl Seat {
    pub(super) fn take(permit: OwnedSemaphorePermit, open: &IntGauge) -> Self {
        open.inc();
        Self { _held: Arc::new(Held { open: open.clone(), _permit: permit }) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.open.dec();
    }
}
