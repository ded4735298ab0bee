//! Logs: one line per event on stdout.

mod json;

use schemars::JsonSchema;
use serde::Deserialize;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use self::json::JsonLines;
use crate::faults::Faults;

/// The section `log`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// The format of a line.
    pub format: LogFormat,
    /// An `EnvFilter` directive: `info`, or `info,ingest=debug`.
    pub level: String,
}

/// The format of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For machines: a JSON object.
    #[default]
    Json,
    /// For people.
    Text,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Json, level: "info".to_owned() }
    }
}

impl LogConfig {
    pub(crate) fn validate(&self, faults: &mut Faults) {
        if let Err(fault) = EnvFilter::try_new(&self.level) {
            faults.add("log.level", format!("is not a filter: {fault}"));
        }
    }

    /// A directive that `validate` refused falls back to `info`; no service starts with one.
    pub(crate) fn filter(&self) -> EnvFilter {
        EnvFilter::try_new(&self.level).unwrap_or_else(|_| EnvFilter::new("info"))
    }

    pub(crate) fn layer(&self) -> Box<dyn Layer<Registry> + Send + Sync> {
        match self.format {
            LogFormat::Json => fmt::layer().fmt_fields(JsonFields::new()).event_format(JsonLines).boxed(),
            LogFormat::Text => fmt::layer().boxed(),
        }
    }
}
