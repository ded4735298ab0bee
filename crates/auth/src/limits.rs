//! How often, and how many at once.

use std::{num::NonZeroU32, str::FromStr};

/// A burst is as much as the rate gives in a year, at most: every wait fits a clock.
const LONGEST_BURST_S: f64 = 365.0 * 86_400.0;

/// What a subject may do at most. An absent limit is none.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    /// Readings that it stores.
    pub readings: Option<Rate>,
    /// Requests that it makes.
    pub requests: Option<Rate>,
    /// Connections that it has at once.
    pub connections: Option<u32>,
    /// Subscriptions that it has at once, on all of its connections.
    pub subscriptions: Option<u32>,
}

impl Limits {
    /// These, and those of `others` where one is absent.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            readings: self.readings.or(others.readings),
            requests: self.requests.or(others.requests),
            connections: self.connections.or(others.connections),
            subscriptions: self.subscriptions.or(others.subscriptions),
        }
    }
}

/// So many a second in the long run, and a burst of so many after a pause.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    per_second: f64,
    burst: NonZeroU32,
}

/// Why there is no such rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRate {
    /// Too low, too high, or no number.
    #[error("a rate is one a day to 1,000,000 a second")]
    PerSecond,
    /// The burst is too small, or too large for this rate.
    #[error("a burst is at least 1, and at most what the rate gives in a year")]
    Burst,
    /// A text that is no rate.
    #[error("write a rate such as 10/s, 30/m or 10/s burst 100")]
    Text,
}

impl Rate {
    /// The lowest rate: one a day.
    pub const MIN_PER_SECOND: f64 = 1.0 / 86_400.0;

    /// The highest rate; nanoseconds could not tell much higher ones apart.
    pub const MAX_PER_SECOND: f64 = 1e6;

    /// A rate with its burst.
    ///
    /// # Errors
    /// When one of them is out of bounds.
    pub fn new(per_second: f64, burst: u32) -> Result<Self, BadRate> {
        if !(Self::MIN_PER_SECOND..=Self::MAX_PER_SECOND).contains(&per_second) {
            return Err(BadRate::PerSecond);
        }
        let burst = NonZeroU32::new(burst).ok_or(BadRate::Burst)?;
        if f64::from(burst.get()) > per_second * LONGEST_BURST_S {
            return Err(BadRate::Burst);
        }
        Ok(Self { per_second, burst })
    }

    /// How many a second.
    pub fn per_second(self) -> f64 {
        self.per_second
    }

    /// How many at once.
    pub fn burst(self) -> u32 {
        self.burst.get()
    }

    /// Nanoseconds for each one, rounded up: never more often than the rate says.
    pub(crate) fn interval(self) -> u64 {
        // 1,000 to 8.64e13, by the bounds of the rate
        (1e9 / self.per_second).ceil() as u64
    }
}

/// Reads `10/s`, `30/m` or `6/h`, with a burst of what that gives in a second, or with another: `10/s burst 100`.
impl FromStr for Rate {
    type Err = BadRate;

    fn from_str(text: &str) -> Result<Self, BadRate> {
        let (rate, burst) = match text.split_once(" burst ") {
            Some((rate, burst)) => (rate, Some(burst.trim().parse().map_err(|_| BadRate::Text)?)),
            None => (text, None),
        };
        let (number, unit) = rate.trim().split_once('/').ok_or(BadRate::Text)?;
        let seconds = match unit {
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            _ => return Err(BadRate::Text),
        };
        let per_second = number.parse::<f64>().map_err(|_| BadRate::Text)? / seconds;
        // a number that no burst can be is no rate either
        Self::new(per_second, burst.unwrap_or(per_second.ceil() as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_written_with_its_unit_and_its_burst() {
        for (text, per_second, burst) in [
            ("10/s", 10.0, 10),
            ("30/m", 0.5, 1),
            ("6/h", 6.0 / 3_600.0, 1),
            ("2.5/s", 2.5, 3),
            ("10/s burst 100", 10.0, 100),
            (" 1/s  burst  7 ", 1.0, 7),
        ] {
            assert_eq!(text.parse(), Rate::new(per_second, burst), "{text}");
        }
        for (text, error) in [
            ("", BadRate::Text),
            ("10", BadRate::Text),
            ("10/d", BadRate::Text),
            ("x/s", BadRate::Text),
            ("10/s burst", BadRate::Text),
            ("10/s burst -1", BadRate::Text),
            ("10/s burst 0", BadRate::Burst),
            ("0/s", BadRate::PerSecond),
            ("-1/s", BadRate::PerSecond),
            ("1e7/s", BadRate::PerSecond),
            ("NaN/s", BadRate::PerSecond),
        ] {
            assert_eq!(text.parse::<Rate>(), Err(error), "{text}");
        }
    }

    #[test]
    fn an_absent_limit_is_that_of_the_others() {
        let rate = |per_second| Some(Rate::new(per_second, 1).unwrap());
        let own = Limits { readings: rate(1.0), connections: Some(1), ..Limits::default() };
        let others =
            Limits { readings: rate(2.0), requests: rate(3.0), connections: Some(2), ..Limits::default() };
        let both =
            Limits { readings: rate(1.0), requests: rate(3.0), connections: Some(1), ..Limits::default() };
        assert_eq!(own.or(others), both);
        assert_eq!(own.or(Limits::default()), own);
    }

    #[test]
    fn rates_out_of_bounds_are_refused() {
        for per_second in [0.0, -1.0, f64::NAN, f64::INFINITY, 1.0 / 86_401.0, 1.1e6] {
            assert_eq!(Rate::new(per_second, 1), Err(BadRate::PerSecond), "{per_second}");
        }
        for (per_second, burst) in [(1.0, 0), (Rate::MIN_PER_SECOND, 366), (1.0, u32::MAX)] {
            assert_eq!(Rate::new(per_second, burst), Err(BadRate::Burst), "{per_second} {burst}");
        }
        for (per_second, burst) in [(Rate::MIN_PER_SECOND, 365), (0.1, 1), (1e6, u32::MAX)] {
            let rate = Rate::new(per_second, burst).unwrap();
            assert_eq!((rate.per_second(), rate.burst()), (per_second, burst));
        }
        assert_eq!(Rate::new(3.0, 1).unwrap().interval(), 333_333_334);
    }

    #[test]
    fn an_absent_rate_takes_no_room() {
        assert_eq!(size_of::<Option<Rate>>(), size_of::<Rate>());
    }
}
