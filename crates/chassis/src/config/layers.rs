//! What lies over the defaults: the file's keys, and over them the environment's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat, ValueKind};
use serde_json::Value;

use crate::faults::Faults;

const PREFIX: &str = "ROWCAST";
const SEPARATOR: &str = "__";

/// Where the layers are read from.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    pub(crate) file: Option<PathBuf>,
    pub(crate) env: Vec<(String, String)>,
}

/// A value that the file or the environment gives.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) value: Value,
    /// The file or the variable.
    pub(super) origin: String,
}

impl Layers {
    /// The process's environment; of it, only names with the prefix and a `__` are configuration.
    pub(crate) fn of_process(file: Option<PathBuf>) -> Self {
        let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
        Self { file, env: std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect() }
    }

    /// The entries by their keys, the environment's over the file's. Tables are followed down to the known keys.
    pub(super) fn entries(
        &self,
        is_key: impl Fn(&str) -> bool,
        faults: &mut Faults,
    ) -> Option<BTreeMap<String, Entry>> {
        let file = match &self.file {
            Some(path) => read_toml(path, faults)?,
            None => String::new(),
        };
        let variables = self.variables();
        // without `prefix_separator` the separator would be the prefix's too, and no variable would match
        let environment = Environment::with_prefix(PREFIX)
            .prefix_separator("_")
            .separator(SEPARATOR)
            .source(Some(variables.values().cloned().collect()));
        let merged = Config::builder()
            .add_source(File::from_str(&file, FileFormat::Toml))
            .add_source(environment)
            .build();
        let merged = match merged {
            Ok(merged) => merged.cache,
            Err(fault) => {
                faults.add("environment", fault.to_string());
                return None;
            }
        };
        let of_file = self.file.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        let mut entries = BTreeMap::new();
        flatten(merged, "", &is_key, &mut |key, value| {
            let origin = variables.get(&key).map_or_else(|| of_file.clone(), |(name, _)| name.clone());
            entries.insert(key, Entry { value, origin });
        });
        Some(entries)
    }

    /// The variables that are configuration, with their values, by their keys.
    fn variables(&self) -> BTreeMap<String, (String, String)> {
        let own = self.env.iter().filter_map(|(name, value)| {
            let key = name.strip_prefix(PREFIX)?.strip_prefix('_').filter(|key| key.contains(SEPARATOR))?;
            Some((key.to_lowercase().replace(SEPARATOR, "."), (name.clone(), value.clone())))
        });
        own.collect()
    }
}

/// The variable that sets a key.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}_{}", key.replace('.', SEPARATOR).to_uppercase())
}

/// The file's text, when it is TOML. The parser's own rendering is not used: it shows the line, secrets too.
fn read_toml(path: &Path, faults: &mut Faults) -> Option<String> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(fault) => {
            faults.add(path.display().to_string(), format!("cannot be read: {fault}"));
            return None;
        }
    };
    if let Err(fault) = toml::from_str::<toml::Table>(&text) {
        let before = fault.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        faults.add(format!("{}:{line}", path.display()), fault.message());
        return None;
    }
    Some(text)
}

fn flatten(
    value: config::Value,
    path: &str,
    is_key: &impl Fn(&str) -> bool,
    found: &mut impl FnMut(String, Value),
) {
    match value.kind {
        ValueKind::Table(table) if path.is_empty() || !(is_key(path) || table.is_empty()) => {
            for (name, value) in table {
                let below = if path.is_empty() { name } else { format!("{path}.{name}") };
                flatten(value, &below, is_key, found);
            }
        }
        kind => found(path.to_owned(), json(kind)),
    }
}

fn json(kind: ValueKind) -> Value {
    match kind {
        ValueKind::Nil => Value::Null,
        ValueKind::Boolean(flag) => flag.into(),
        ValueKind::I64(number) => number.into(),
        ValueKind::U64(number) => number.into(),
        ValueKind::I128(number) => number.to_string().into(),
        ValueKind::U128(number) => number.to_string().into(),
        ValueKind::Float(number) => number.into(),
        ValueKind::String(text) => text.into(),
        ValueKind::Array(items) => items.into_iter().map(|item| json(item.kind)).collect(),
        ValueKind::Table(table) => table.into_iter().map(|(name, value)| (name, json(value.kind))).collect(),
    }
}
