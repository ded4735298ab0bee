//! How many commands a client may send: a token bucket, as ATM's generic cell rate algorithm (ITU-T I.371) has it.

use std::time::Duration;

use tokio::time::Instant;

/// A burst may be as many commands as come back in this time.
const BURST: Duration = Duration::from_secs(10);

/// What is left, as the time at which the bucket would be full.
#[derive(Debug)]
pub(super) struct Allowance {
    full_at: Instant,
    each: Duration,
}

impl Allowance {
    /// A full bucket; `per_second` commands come back each second.
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        Self { full_at: now, each: Duration::from_secs(1) / per_second.max(1) }
    }

    /// Takes so many commands; false when that is more than there is.
    pub(super) fn take(&mut self, commands: usize, now: Instant) -> bool {
        let commands = u32::try_from(commands.max(1)).unwrap_or(u32::MAX);
        let full_at = self.full_at.max(now) + self.each.saturating_mul(commands);
        let fits = full_at - now <= BURST;
        if fits {
            self.full_at = full_at;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_only_the_rate() {
        let start = Instant::now();
        let mut allowance = Allowance::new(50, start);
        assert!(allowance.take(500, start));
        assert!(!allowance.take(1, start));
        let later = start + Duration::from_secs(1);
        assert!(allowance.take(50, later));
        assert!(
            !allowance.take(1, later),
            "a refused command costs nothing, and the bucket refills at the rate"
        );
    }
}
