//! Latencies in buckets that are at most 0.8 % wide, so that memory does not grow with the run.

use serde::Serialize;

/// Buckets per power of two.
const FINE: u64 = 128;

/// Counts of microseconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
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

impl Histogram {
    pub(super) fn record(&mut self, micros: u64) {
        let bucket = bucket(micros);
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.total += 1;
        self.sum = self.sum.saturating_add(micros);
        self.max = self.max.max(micros);
    }

    /// The smallest recorded value, rounded up to its bucket, that at least this share does not exceed.
    fn percentile(&self, share: f64) -> u64 {
        // a count of samples fits f64 exactly up to 2^53
        let rank = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total.max(1));
        let mut passed = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            passed += count;
            if passed >= rank {
                return upper(bucket).min(self.max);
            }
        }
        self.max
    }

    pub(super) fn summary(&self) -> Summary {
        let ms = |micros: u64| micros as f64 / 1_000.0;
        Summary {
            count: self.total,
            mean: super::report::round(self.sum as f64 / self.total.max(1) as f64 / 1_000.0),
            p50: ms(self.percentile(0.5)),
            p99: ms(self.percentile(0.99)),
            p99_9: ms(self.percentile(0.999)),
            max: ms(self.max),
        }
    }
}

/// Exact below [`FINE`], then [`FINE`] buckets for each doubling.
fn bucket(micros: u64) -> usize {
    let shift = (u64::BITS - micros.leading_zeros()).saturating_sub(FINE.trailing_zeros() + 1);
    (u64::from(shift) * FINE + (micros >> shift)) as usize
}

/// The largest value of a bucket.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / FINE).saturating_sub(1);
    ((bucket - shift * FINE + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_within_0_8_percent() {
        for micros in (0..100_000).chain((0..40).map(|n| 1_u64 << n)) {
            let upper = upper(bucket(micros));
            assert!(upper >= micros && upper as f64 <= micros as f64 * 1.008 + 0.5, "{micros}: {upper}");
        }
    }

    #[test]
    fn buckets_leave_no_hole() {
        assert!((0..100_000).all(|micros| bucket(micros + 1) - bucket(micros) <= 1));
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
    fn nothing_recorded_is_zero() {
        assert_eq!(Histogram::default().summary(), Summary::default());
    }
}
