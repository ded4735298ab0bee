//! Metrics declared once: a struct whose fields are the metrics, and whose doc comments are their help texts.
//!
//! ```
//! use instruments::{By, Histogram, IntCounter, Registry};
//!
//! instruments::labels! {
//!     /// How a request ended.
//!     pub enum Outcome {
//!         /// Committed.
//!         Stored = "stored",
//!         /// The queue was full.
//!         Full = "full",
//!     }
//! }
//!
//! instruments::metrics! {
//!     /// What the service counts.
//!     pub struct Metrics("rowcast_example_") {
//!         /// Readings committed.
//!         pub readings: IntCounter = "readings_total";
//!         /// Requests, by outcome.
//!         pub requests: By<Outcome, IntCounter> = "requests_total", by = ["outcome"];
//!         /// Readings in each INSERT.
//!         pub batch: Histogram = "batch_readings", buckets = [1.0, 4.0, 16.0];
//!     }
//! }
//!
//! let metrics = Metrics::register(&Registry::new())?;
//! metrics.requests.of(Outcome::Full).inc();
//! # instruments::Result::Ok(())
//! ```
//!
//! Everything is registered at zero, so that an alert can be written on a series before its first event. docs/METRICS.md is
//! written from these declarations.

mod by;
mod call;
mod instrument;
mod label;
mod weighted;

pub use by::By;
pub use call::Call;
pub use instrument::{Instrument, Spec};
pub use label::Label;
pub use prometheus::TEXT_FORMAT;
pub use prometheus::{
    Counter, Error, Gauge, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Registry, Result,
};
pub use weighted::WeightedHistogram;

/// What a scrape shows of a registry.
///
/// # Errors
/// When two metrics of one name differ in type.
pub fn text(registry: &Registry) -> Result<String> {
    prometheus::TextEncoder::new().encode_to_string(&registry.gather())
}

/// Declares a struct of metrics with `register`, which creates and registers all of them.
///
/// The name in brackets is the prefix of all names. Each field has its type (any [`Instrument`]), its name and what the type
/// needs beside it: `by = […]`, the labels of a [`By`] or a vector, and `buckets = […]`, the bounds of a histogram.
#[macro_export]
macro_rules! metrics {
    (
        $(#[$meta:meta])*
        $vis:vis struct $struct:ident($prefix:literal) {
            $(
                $(#[doc = $help:literal])+
                $field_vis:vis $field:ident: $type:ty = $name:literal
                    $(, by = [$($label:literal),+])? $(, buckets = $buckets:expr)?;
            )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        $vis struct $struct {
            $($(#[doc = $help])+ $field_vis $field: $type,)+
        }

        impl $struct {
            /// Creates all of them, at zero.
            ///
            /// # Errors
            /// When the registry has metrics of these names already.
            $vis fn register(registry: &$crate::Registry) -> $crate::Result<Self> {
                Ok(Self {
                    $($field: <$type as $crate::Instrument>::register(
                        $crate::Spec::new(concat!($prefix, $name), concat!($($help),+).trim_ascii())
                            $(.by(&[$($label),+]))?
                            $(.buckets(&$buckets))?,
                        registry,
                    )?,)+
                })
            }
        }
    };
}

/// Declares an enum whose values are those of a label.
#[macro_export]
macro_rules! labels {
    (
        $(#[$meta:meta])*
        $vis:vis enum $enum:ident {
            $($(#[doc = $doc:literal])+ $name:ident = $label:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis enum $enum {
            $($(#[doc = $doc])+ $name,)+
        }

        impl $crate::Label for $enum {
            fn all() -> impl Iterator<Item = Self> {
                [$(Self::$name),+].into_iter()
            }

            fn label(self) -> &'static str {
                match self {
                    $(Self::$name => $label,)+
                }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

#[cfg(test)]
mod tests;
