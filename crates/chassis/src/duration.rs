//! For `#[serde(with = "chassis::duration")]`: a span of time as people write it, `90s` or `2h 30m`.

pub use humantime_serde::{deserialize, serialize};
