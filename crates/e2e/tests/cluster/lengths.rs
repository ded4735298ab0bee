use std::time::Duration;

/// The durations of faults and loads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lengths {
    pub(crate) full: bool,
    pub(crate) cut: Duration,
    pub(crate) api: Duration,
    pub(crate) speed: Duration,
}

impl Lengths {
    pub(crate) const FULL: Self = Self { full: true, cut: seconds(30), api: seconds(60), speed: seconds(30) };
    pub(crate) const SHORT: Self =
        Self { full: false, cut: seconds(12), api: seconds(20), speed: seconds(10) };
}

pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
