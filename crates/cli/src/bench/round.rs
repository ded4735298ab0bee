//! How figures are rounded in reports.

/// To three digits after the point: more is noise.
pub(super) fn round(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}
