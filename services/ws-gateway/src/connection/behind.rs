//! Whether a connection is among those that read on from the log because they could not keep up.

use instruments::IntGauge;

/// Counted while it is behind, however the connection ends.
pub(super) struct Behind {
    sessions: IntGauge,
    is_behind: bool,
}

impl Behind {
    pub(super) fn new(sessions: IntGauge) -> Self {
        Self { sessions, is_behind: false }
    }

    pub(super) fn set(&mut self, is_behind: bool) {
        match (std::mem::replace(&mut self.is_behind, is_behind), is_behind) {
            (false, true) => self.sessions.inc(),
            (true, false) => self.sessions.dec(),
            _ => {}
        }
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.set(false);
    }
}
