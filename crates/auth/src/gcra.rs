//! The generic cell rate algorithm: a bucket as one instant, in whole nanoseconds.

use std::time::Duration;

use crate::limits::Rate;

/// A bucket. It remembers when it will be full again; a new one is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gcra {
    /// Nanoseconds after the start of the caller's clock ("theoretical arrival time").
    full_at: u64,
}

/// What is left in the bucket after something was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remaining {
    /// So much more would be admitted now.
    pub cost: u32,
    /// When the bucket will be full, if nothing is admitted until then.
    pub full_in: Duration,
}

/// Why something was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// There is too little in the bucket now. The same is admitted after this time, if nothing else is until then.
    Wait(Duration),
    /// It costs more than a full bucket has: waiting does not help.
    Never,
}

impl Gcra {
    /// Takes `cost` out of the bucket, if it has that much. `now` is the time since any fixed instant, by a clock that never
    /// goes back.
    ///
    /// # Errors
    /// When it has not: nothing is taken.
    pub fn check(&mut self, rate: Rate, cost: u32, now: Duration) -> Result<Remaining, RetryAfter> {
        if cost > rate.burst() {
            return Err(RetryAfter::Never);
        }
        let (interval, now) = (rate.interval(), nanoseconds(now));
        // the bounds of a rate keep this below 2^55, and `now` is below 2^63: no sum overflows
        let window = interval * u64::from(rate.burst());
        let full_at = self.full_at.max(now) + interval * u64::from(cost);
        let full_in = full_at - now;
        if full_in > window {
            return Err(RetryAfter::Wait(Duration::from_nanos(full_in - window)));
        }
        self.full_at = full_at;
        let cost = u32::try_from((window - full_in) / interval).unwrap_or(rate.burst());
        Ok(Remaining { cost, full_in: Duration::from_nanos(full_in) })
    }

    /// Whether the bucket is full, and therefore like a new one.
    pub fn is_full(&self, now: Duration) -> bool {
        self.full_at <= nanoseconds(now)
    }
}

/// 292 years at most.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).min(u64::MAX / 2)
}
