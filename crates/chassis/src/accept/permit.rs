//! The permit of an open connection.

use std::sync::Arc;

use instruments::IntGauge;
use tokio::sync::OwnedSemaphorePermit;

/// A connection's permit under `max_connections`, in the extensions of each of its requests. A service that upgrades the
/// connection must keep it until the socket is closed; otherwise the permit is free again while the socket is still open.
#[derive(Clone)]
pub struct Permit {
    _held: Arc<Held>,
}

struct Held {
    open: IntGauge,
    _permit: OwnedSemaphorePermit,
}

impl Permit {
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
