//! For `#[serde(with = "chassis::duration")]`: a duration in human notation, `90s` or `2h 30m`.

use std::time::Duration;

pub use humantime_serde::{deserialize, serialize};

/// Parses one.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let text = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text);
    deserialize(text).ok()
}
