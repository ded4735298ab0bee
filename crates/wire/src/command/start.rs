//! Where a subscription starts.

use std::{borrow::Cow, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, ser::SerializeMap};
use serde_json::Value;

use crate::{
    error::{ErrorCode, Refusal},
    position::Position,
};

/// Where a subscription starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Start {
    /// With the next reading.
    #[default]
    Now,
    /// With the newest reading of each sensor, then live.
    Latest,
    /// After this position.
    After(Position),
    /// With what was committed within this time before now.
    Last(Duration),
}

impl FromStr for Start {
    type Err = Refusal;

    /// `now`, `latest` or a position.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        match text {
            "now" => Ok(Self::Now),
            "latest" => Ok(Self::Latest),
            token => token.parse().map(Self::After).map_err(|_| {
                Refusal::new(ErrorCode::BadPosition, "`from` is neither now, latest nor a position")
            }),
        }
    }
}

impl Start {
    /// The duration of `last`, such as `15m`.
    pub fn last(text: &str) -> Result<Self, Refusal> {
        humantime::parse_duration(text).map(Self::Last).map_err(|_| {
            Refusal::new(ErrorCode::BadCommand, "`last` must be a time such as 90s, 15m or 2h 30m")
        })
    }

    pub(super) fn read(value: &Value) -> Result<Self, Refusal> {
        if let Some(text) = value.as_str() {
            return text.parse();
        }
        match value.get("last").and_then(Value::as_str) {
            Some(last) => Self::last(last),
            None => Err(Refusal::new(
                ErrorCode::BadCommand,
                r#"`from` must be "now", "latest", a position or {"last":"15m"}"#,
            )),
        }
    }
}

impl Serialize for Start {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Now => serializer.serialize_str("now"),
            Self::Latest => serializer.serialize_str("latest"),
            Self::After(pos) => serializer.collect_str(pos),
            Self::Last(time) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("last", &humantime::format_duration(*time).to_string())?;
                map.end()
            }
        }
    }
}

impl JsonSchema for Start {
    fn schema_name() -> Cow<'static, str> {
        "Start".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let position = generator.subschema_for::<Position>();
        json_schema!({
            "description": "Where a subscription starts.",
            "oneOf": [
                { "const": "now", "description": "With the next reading." },
                { "const": "latest", "description": "With the newest reading of each sensor, then live." },
                position,
                {
                    "type": "object",
                    "description": "With what was committed within this time before now.",
                    "properties": { "last": { "type": "string", "examples": ["15m"] } },
                    "required": ["last"]
                }
            ]
        })
    }
}
