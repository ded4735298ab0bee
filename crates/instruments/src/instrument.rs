//! What can be declared as a metric, and how each type is registered.

use prometheus::{
    Counter, Error, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, Result, core::Collector,
};

/// The declaration of one metric.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    pub(crate) name: &'static str,
    help: &'static str,
    pub(crate) labels: &'static [&'static str],
    buckets: &'static [f64],
    /// The label of one metric of a [`By`](crate::By), with its value.
    constant: Option<(&'static str, &'static str)>,
}

/// A type of metric.
pub trait Instrument: Sized {
    /// Creates it at zero, and registers it.
    ///
    /// # Errors
    /// When the declaration lacks something that the type needs, or the registry has a metric of this name already.
    fn register(spec: Spec, registry: &Registry) -> Result<Self>;
}

impl Spec {
    /// Without labels and buckets.
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, labels: &[], buckets: &[], constant: None }
    }

    /// With these labels.
    #[must_use]
    pub const fn by(self, labels: &'static [&'static str]) -> Self {
        Self { labels, ..self }
    }

    /// With the upper bounds of a histogram's buckets, the last (infinity) left out.
    #[must_use]
    pub const fn buckets(self, buckets: &'static [f64]) -> Self {
        Self { buckets, ..self }
    }

    pub(crate) const fn with(self, constant: (&'static str, &'static str)) -> Self {
        Self { labels: &[], constant: Some(constant), ..self }
    }

    pub(crate) fn opts(&self) -> Opts {
        let opts = Opts::new(self.name, self.help);
        match self.constant {
            Some((name, value)) => opts.const_label(name, value),
            None => opts,
        }
    }

    /// The bounds. Without any, prometheus would take its own for granted.
    pub(crate) fn bounds(&self) -> Result<&'static [f64]> {
        if self.buckets.is_empty() {
            return Err(Error::Msg(format!("{} needs buckets", self.name)));
        }
        Ok(self.buckets)
    }

    fn histogram(&self) -> Result<HistogramOpts> {
        Ok(HistogramOpts { common_opts: self.opts(), buckets: self.bounds()?.to_vec() })
    }
}

pub(crate) fn registered<M: Collector + Clone + 'static>(metric: M, registry: &Registry) -> Result<M> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

impl Instrument for IntCounter {
    fn register(spec: Spec, registry: &Registry) -> Result<Self> {
        registered(Self::with_opts(spec.opts())?, registry)
    }
}

impl Instrument for Counter {
    fn register(spec: Spec, registry: &Registry) -> Result<Self> {
        registered(Self::with_opts(spec.opts())?, registry)
    }
}

impl Instrument for IntGauge {
    fn register(spec: Spec, registry: &Registry) -> Result<Self> {
        registered(Self::with_opts(spec.opts())?, registry)
    }
}

impl Instrument for Gauge {
    fn register(spec: Spec, registry: &Registry) -> Result<Self> {
        registered(Self::with_opts(spec.opts())?, registry)
    }
}

impl Instrument for Histogram {
    fn register(spec: Spec, registry: &Registry) -> Result<Self> {
        registered(Self::with_opts(spec.histogram()?)?, registry)
    }
}

// the vectors are for labels whose values become known while the process runs

impl Instrument for IntCounterVec {
    fn register(spec: Spec, registry: &Registry) -> Result<Self> {
        registered(Self::new(spec.opts(), spec.labels)?, registry)
    }
}

impl Instrument for IntGaugeVec {
    fn register(spec: Spec, registry: &Registry) -> Result<Self> {
        registered(Self::new(spec.opts(), spec.labels)?, registry)
    }
}

impl Instrument for HistogramVec {
    fn register(spec: Spec, registry: &Registry) -> Result<Self> {
        registered(Self::new(spec.histogram()?, spec.labels)?, registry)
    }
}
