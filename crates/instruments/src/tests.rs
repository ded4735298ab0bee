//! The declarations, as a scrape shows them.

use prometheus::{Gauge, Histogram, IntCounter, IntGauge, Registry, TextEncoder};

use crate::{By, WeightedHistogram};

labels! {
    enum Stage {
        /// The first.
        First = "first",
        /// The second.
        Second = "second",
    }
}

metrics! {
    /// One of each kind.
    #[expect(dead_code, reason = "most are only scraped")]
    struct Metrics("rowcast_test_") {
        /// Readings,
        /// counted.
        readings: IntCounter = "readings_total";
        /// Sessions.
        sessions: IntGauge = "sessions";
        /// Busy workers.
        usage: Gauge = "usage_ratio";
        /// Batches.
        batch: Histogram = "batch_readings", buckets = [1.0, 4.0];
        /// Errors by stage.
        errors: By<Stage, IntCounter> = "errors_total", by = ["stage"];
        /// Ages.
        age: WeightedHistogram = "age_seconds", buckets = [0.5, 1.0];
        /// Ages by stage.
        ages: By<Stage, WeightedHistogram> = "stage_seconds", by = ["stage"], buckets = [1.0];
    }
}

/// Two of one name.
mod twice {
    use prometheus::IntCounter;

    metrics! {
        pub(super) struct Twice("rowcast_") {
            /// One.
            _one: IntCounter = "one_total";
            /// The same again.
            _again: IntCounter = "one_total";
        }
    }

    metrics! {
        pub(super) struct Bare("rowcast_") {
            /// Without buckets.
            _bare: prometheus::Histogram = "bare_seconds";
        }
    }
}

fn scrape(registry: &Registry) -> String {
    TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
}

#[track_caller]
fn shows(registry: &Registry, lines: &[&str]) {
    let text = scrape(registry);
    for line in lines {
        assert!(text.lines().any(|shown| shown == *line), "no {line} in\n{text}");
    }
}

#[test]
fn every_series_is_there_at_zero_with_its_doc_comment_as_help() {
    let registry = Registry::new();
    Metrics::register(&registry).unwrap();
    shows(
        &registry,
        &[
            "# HELP rowcast_test_readings_total Readings, counted.",
            "# TYPE rowcast_test_readings_total counter",
            "rowcast_test_readings_total 0",
            "rowcast_test_sessions 0",
            "rowcast_test_usage_ratio 0",
            "rowcast_test_batch_readings_bucket{le=\"4\"} 0",
            "rowcast_test_errors_total{stage=\"first\"} 0",
            "rowcast_test_errors_total{stage=\"second\"} 0",
            "# TYPE rowcast_test_stage_seconds histogram",
            "rowcast_test_stage_seconds_count{stage=\"first\"} 0",
            "rowcast_test_stage_seconds_bucket{stage=\"second\",le=\"1\"} 0",
        ],
    );
    assert_eq!(scrape(&registry).matches("# TYPE rowcast_test_errors_total").count(), 1);
}

#[test]
fn a_label_counts_for_itself_alone() {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    metrics.errors.of(Stage::Second).inc_by(2);
    shows(
        &registry,
        &["rowcast_test_errors_total{stage=\"first\"} 0", "rowcast_test_errors_total{stage=\"second\"} 2"],
    );
}

#[test]
fn a_weight_counts_as_so_many_observations() {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    metrics.age.observe(0.5, 3);
    metrics.age.observe(0.500_001, 1);
    metrics.age.observe(7.0, 2);
    assert_eq!(metrics.age.count(), 6);
    shows(
        &registry,
        &[
            "rowcast_test_age_seconds_bucket{le=\"0.5\"} 3",
            "rowcast_test_age_seconds_bucket{le=\"1\"} 4",
            "rowcast_test_age_seconds_bucket{le=\"+Inf\"} 6",
            "rowcast_test_age_seconds_sum 16.000001",
            "rowcast_test_age_seconds_count 6",
        ],
    );
}

#[test]
fn a_name_that_is_taken_or_a_histogram_without_buckets_is_refused() {
    twice::Twice::register(&Registry::new()).unwrap_err();
    let refused = twice::Bare::register(&Registry::new()).unwrap_err();
    assert_eq!(refused.to_string(), "Error: rowcast_bare_seconds needs buckets");
}
