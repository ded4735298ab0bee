//! What all handlers share.

use std::sync::Arc;

use access::Gate;
use chassis::Problem;
use store::Database;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{committer::Committer, hooks::Hooks, influx::rule::Rule, large::Large, refusals};

/// The shared state.
pub(crate) struct App {
    /// Who may do what, and how often.
    pub(crate) gate: Gate,
    /// For GET.
    pub(crate) database: Database,
    /// For POST.
    pub(crate) committer: Committer,
    /// The memory of bodies while they are received.
    pub(crate) bodies: Bodies,
    /// Turns at the work on large ones.
    pub(crate) large: Large,
    /// Which sensor a field of a line belongs to.
    pub(crate) influx: Rule,
    /// What senders of their own formats send.
    pub(crate) hooks: Hooks,
}

/// The bytes of all bodies that are being received.
pub(crate) struct Bodies(Arc<Semaphore>);

impl Bodies {
    /// At most so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes)))
    }

    /// A permit for so many bytes; a refusal if they are not free.
    pub(crate) fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let bytes = u32::try_from(bytes).map_err(|_| refusals::bodies_full())?;
        self.0.clone().try_acquire_many_owned(bytes).map_err(|_| refusals::bodies_full())
    }
}
