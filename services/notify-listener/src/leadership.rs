//! The right to forward, as a value that is held.

use chassis::Life;

/// Held by the replica that forwards. Two holders at once are safe, by the tick's primary key and by
/// compare-and-append; the value is there so that normally there is one.
pub(crate) struct Leadership {
    life: Life,
}

impl Leadership {
    /// For an installation with one replica: held until the process stops.
    pub(crate) fn always(life: &Life) -> Self {
        Self { life: life.clone() }
    }

    /// Returns when it is lost. Whatever is under way then is dropped, not finished.
    pub(crate) async fn lost(&self) {
        self.life.stopping().await;
    }
}
