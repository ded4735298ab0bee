//! For `#[serde(with = "chassis::duration")]`: a span of time as people write it, `90s` or `2h 30m`.

use std::time::Duration;

pub use humantime_serde::{deserialize, serialize};

/// Reads one from text.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let text = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text);
    deserialize(text).ok()
}
