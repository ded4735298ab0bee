//! The body of `subscribe`.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{body::read_body, start::Start};
use crate::error::{ErrorCode, Refusal};

/// The body of `subscribe`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Subscribe {
    /// Exact ids and `prefix*`; absent means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sensors: Option<Vec<String>>,
    /// Where to start.
    pub from: Start,
    /// Every reading, or the newest of each sensor.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: Mode,
    /// In mode `latest`, the most events a second for each sensor; absent, as many as the connection takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.001, max = 1000.0))]
    pub max_rate: Option<f64>,
    /// Whether events come with the trace context of their reading, where it has one.
    #[serde(skip_serializing_if = "is_default")]
    pub trace: bool,
}

/// The highest `max_rate`: above it every reading might as well be sent.
const MAX_RATE: f64 = 1_000.0;

/// The least: one event in 1,000 seconds.
const MIN_RATE: f64 = 0.001;

/// Which readings of its sensors a subscription gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Every reading, in the one order.
    #[default]
    All,
    /// The newest reading of each sensor, at most `max_rate` a second; older ones that wait are left out.
    Latest,
}

impl FromStr for Mode {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        match text {
            "all" => Ok(Self::All),
            "latest" => Ok(Self::Latest),
            _ => Err(Refusal::new(ErrorCode::BadCommand, "`mode` must be all or latest")),
        }
    }
}

impl Subscribe {
    /// Reads `trace` of a query.
    pub fn trace(text: &str) -> Result<bool, Refusal> {
        text.parse().map_err(|_| Refusal::new(ErrorCode::BadCommand, "`trace` must be true or false"))
    }

    /// Checks a rate, in events a second.
    pub fn rate(rate: f64) -> Result<f64, Refusal> {
        if (MIN_RATE..=MAX_RATE).contains(&rate) {
            return Ok(rate);
        }
        Err(Refusal::new(
            ErrorCode::BadCommand,
            format!("`max_rate` must be a number from {MIN_RATE} to {MAX_RATE}"),
        ))
    }

    pub(super) fn read(body: Value) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Body {
            sensors: Option<Vec<String>>,
            from: Option<Value>,
            mode: Option<Mode>,
            max_rate: Option<f64>,
            trace: Option<bool>,
        }
        let body: Body = read_body(body)?;
        Ok(Self {
            sensors: body.sensors,
            from: body.from.as_ref().map(Start::read).transpose()?.unwrap_or_default(),
            mode: body.mode.unwrap_or_default(),
            max_rate: body.max_rate.map(Self::rate).transpose()?,
            trace: body.trace.unwrap_or_default(),
        })
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
