//! Small requests and large ones, which share no batch.

/// The most bytes of a small request.
pub(super) const LIGHT_BYTES: usize = 16 << 10;

/// The most readings in a batch of small requests.
const LIGHT_READINGS: usize = 5_000;

/// The most in a batch of large ones: it runs beside those of the small ones, and on the same processors.
const HEAVY_READINGS: usize = 2_000;

/// How large requests are that share a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// So small that nobody notices one more.
    Light,
    /// Worth a lane of its own.
    Heavy,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::Light, Self::Heavy];

    /// Of a request with so many bytes.
    pub(super) fn of(bytes: usize) -> Self {
        if bytes <= LIGHT_BYTES { Self::Light } else { Self::Heavy }
    }

    /// The most readings in a batch.
    pub(super) const fn readings(self) -> usize {
        match self {
            Self::Light => LIGHT_READINGS,
            Self::Heavy => HEAVY_READINGS,
        }
    }
}
