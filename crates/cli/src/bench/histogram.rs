//! Latencies in buckets of at most 0.1 %, so that memory does not grow with the run.

use serde::Serialize;

use super::round::round;

/// Digits that a bucket keeps.
const DIGITS: u8 = 3;

/// Counts of microseconds.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    counts: hdrhistogram::Histogram<u64>,
    /// Exact, where the buckets are not.
    sum: u64,
    max: u64,
}

/// What is reported of a histogram, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct Summary {
    pub(super) count: u64,
    pub(super) mean: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) p99_9: f64,
    pub(super) max: f64,
}

impl Default for Histogram {
    fn default() -> Self {
        let counts = hdrhistogram::Histogram::new(DIGITS).expect("three digits are supported");
        Self { counts, sum: 0, max: 0 }
    }
}

impl Histogram {
    pub(super) fn record(&mut self, micros: u64) {
        self.counts.record(micros).expect("the histogram grows with its values");
        self.sum = self.sum.saturating_add(micros);
        self.max = self.max.max(micros);
    }

    /// The smallest recorded value, rounded up to its bucket, that at least this share does not exceed.
    fn percentile(&self, share: f64) -> u64 {
        self.counts.value_at_quantile(share).min(self.max)
    }

    pub(super) fn summary(&self) -> Summary {
        let ms = |micros: u64| micros as f64 / 1_000.0;
        let count = self.counts.len();
        Summary {
            count,
            mean: round(self.sum as f64 / count.max(1) as f64 / 1_000.0),
            p50: ms(self.percentile(0.5)),
            p99: ms(self.percentile(0.99)),
            p99_9: ms(self.percentile(0.999)),
            max: ms(self.max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_a_bucket_of_at_most_0_1_percent() {
        let mut histogram = Histogram::default();
        histogram.record(1 << 40);
        for micros in (0..100_000).chain((0..40).map(|n| 1_u64 << n)) {
            let upper = histogram.counts.highest_equivalent(micros);
            assert!(upper >= micros && upper as f64 <= micros as f64 * 1.001 + 0.5, "{micros}: {upper}");
        }
    }

    #[test]
    fn buckets_leave_no_hole() {
        let mut histogram = Histogram::default();
        histogram.record(1 << 40);
        let counts = &histogram.counts;
        let is_next = |micros| counts.lowest_equivalent(micros + 1) <= counts.highest_equivalent(micros) + 1;
        assert!((0..100_000).all(is_next));
    }

    #[test]
    fn percentiles_are_the_nearest_rank() {
        let mut histogram = Histogram::default();
        (1..=100).for_each(|micros| histogram.record(micros));
        assert_eq!(histogram.percentile(0.5), 50);
        assert_eq!(histogram.percentile(0.99), 99);
        assert_eq!(histogram.percentile(0.999), 100);
        assert_eq!(histogram.percentile(0.0), 1);
        histogram.record(1_000_000);
        assert_eq!(histogram.summary().max, 1_000.0);
        assert_eq!(histogram.summary().count, 101);
    }

    #[test]
    fn any_value_can_be_recorded() {
        let mut histogram = Histogram::default();
        histogram.record(u64::MAX);
        assert_eq!((histogram.counts.len(), histogram.max), (1, u64::MAX));
    }

    #[test]
    fn nothing_recorded_is_zero() {
        assert_eq!(Histogram::default().summary(), Summary::default());
    }
}
