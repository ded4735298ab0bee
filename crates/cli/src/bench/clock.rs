//! The one clock of a measurement.

use std::time::{Duration, Instant};

/// Microseconds since the start of the measurement, for every thread alike.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Now.
    pub(super) fn micros(self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    /// When the clock will show this.
    pub(super) fn at(self, micros: u64) -> Instant {
        self.start + Duration::from_micros(micros)
    }
}

/// The part of a run that is measured, in microseconds of its clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Window {
    /// Begins after the warm-up that begins at `start`.
    pub(super) fn after(start: u64, warmup: Duration, duration: Duration) -> Self {
        let from = start + warmup.as_micros() as u64;
        Self { from, to: from + duration.as_micros() as u64 }
    }

    pub(super) fn contains(&self, micros: u64) -> bool {
        (self.from..self.to).contains(&micros)
    }

    pub(super) fn seconds(&self) -> f64 {
        (self.to - self.from) as f64 / 1e6
    }
}
