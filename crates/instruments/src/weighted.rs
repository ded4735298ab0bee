//! A histogram of seconds that takes many equal observations in one go.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use prometheus::{
    Opts, Registry, Result,
    core::{Collector, Desc, Describer},
    proto,
};

use crate::instrument::{Instrument, Spec, registered};

/// A histogram of seconds in which one call counts any number of observations: a batch of readings has one age, and each
/// of them counts. The sum is in whole microseconds, so that adding to it needs no loop.
#[derive(Debug, Clone)]
pub struct WeightedHistogram(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    desc: Desc,
    bounds: &'static [f64],
    /// One for each bound, and that of what is above all; not cumulative.
    counts: Box<[AtomicU64]>,
    micros: AtomicU64,
}

impl WeightedHistogram {
    fn new(opts: &Opts, bounds: &'static [f64]) -> Result<Self> {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Ok(Self(Arc::new(Inner { desc: opts.describe()?, bounds, counts, micros: AtomicU64::new(0) })))
    }

    /// Counts `weight` observations of `seconds`, which must not be negative.
    pub fn observe(&self, seconds: f64, weight: u64) {
        let bucket = self.0.bounds.partition_point(|bound| *bound < seconds);
        self.0.counts[bucket].fetch_add(weight, Relaxed);
        // a cast saturates; the sum wraps like any counter, after half a million years of one second
        self.0.micros.fetch_add(((seconds * 1e6) as u64).wrapping_mul(weight), Relaxed);
    }

    /// All observations so far.
    pub fn count(&self) -> u64 {
        self.0.counts.iter().map(|count| count.load(Relaxed)).sum()
    }
}

impl Instrument for WeightedHistogram {
    fn register(spec: Spec, registry: &Registry) -> Result<Self> {
        registered(Self::new(&spec.opts(), spec.bounds()?)?, registry)
    }
}

impl Collector for WeightedHistogram {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.desc]
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let Inner { desc, bounds, counts, micros } = &*self.0;
        let mut below = 0;
        let bucket = |(bound, count): (&f64, &AtomicU64)| {
            below += count.load(Relaxed);
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(below);
            bucket
        };
        let mut histogram = proto::Histogram::default();
        histogram.set_bucket(bounds.iter().zip(counts).map(bucket).collect());
        // of the same counts as the buckets: a scrape must not show fewer observations than a bucket has
        histogram.set_sample_count(below + counts[bounds.len()].load(Relaxed));
        histogram.set_sample_sum(micros.load(Relaxed) as f64 / 1e6);
        let mut metric = proto::Metric::from_label(desc.const_label_pairs.clone());
        metric.set_histogram(histogram);
        let mut family = proto::MetricFamily::default();
        family.set_name(desc.fq_name.clone());
        family.set_help(desc.help.clone());
        family.set_field_type(proto::MetricType::HISTOGRAM);
        family.set_metric(vec![metric]);
        vec![family]
    }
}
