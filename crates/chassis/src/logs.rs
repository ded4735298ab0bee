//! Logs: one line per event on stdout.

mod flood;
mod json;
mod level;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

pub(crate) use self::flood::Floods;
use self::flood::Limited;
use self::json::JsonLines;
pub(crate) use self::level::Level;
use crate::faults::Faults;

/// Targets that log what clients send, at a level that is for details. They write nothing, whatever `log.level` says: no body
/// is logged.
const SILENT: [&str; 1] = ["influxdb_line_protocol"];

/// The section `log`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// The format of a line.
    pub format: LogFormat,
    /// An `EnvFilter` directive: `info`, or `info,ingest=debug`.
    pub level: String,
    /// A file whose directive takes the place of `level`, read again while the service runs.
    pub level_file: Option<PathBuf>,
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
        Self { format: LogFormat::Json, level: "info".to_owned(), level_file: None }
    }
}

impl LogConfig {
    pub(crate) fn validate(&self, faults: &mut Faults) {
        if let Err(fault) = EnvFilter::try_new(&self.level) {
            faults.add("log.level", format!("is not a filter: {fault}"));
        }
    }

    /// What writes the lines, and what may change their level.
    pub(crate) fn layer(&self, floods: Floods) -> (impl Layer<Registry> + use<>, Level) {
        let (level, filter) = Level::new(&self.level, self.level_file.as_deref());
        let loud = filter_fn(|line| !SILENT.iter().any(|own| line.target().starts_with(own)));
        (self.lines(floods).with_filter(filter.and(loud)), level)
    }

    fn lines(&self, floods: Floods) -> Box<dyn Layer<Registry> + Send + Sync> {
        match self.format {
            LogFormat::Json => {
                let format = Limited(floods, JsonLines);
                fmt::layer().fmt_fields(JsonFields::new()).event_format(format).boxed()
            }
            LogFormat::Text => fmt::layer().event_format(Limited(floods, fmt::format())).boxed(),
        }
    }
}
