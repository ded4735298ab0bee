//! What lies over the defaults: the file's keys, and over them the environment's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::faults::Faults;

const PREFIX: &str = "ROWCAST_";
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
        let mut entries = BTreeMap::new();
        if let Some(path) = &self.file {
            let origin = path.display().to_string();
            flatten(toml::Value::Table(read_toml(path, faults)?), "", &is_key, &mut |key, value| {
                entries.insert(key, Entry { value, origin: origin.clone() });
            });
        }
        for (name, value) in &self.env {
            let Some(key) = name.strip_prefix(PREFIX).filter(|key| key.contains(SEPARATOR)) else { continue };
            let key = key.to_lowercase().replace(SEPARATOR, ".");
            entries.insert(key, Entry { value: value.as_str().into(), origin: name.clone() });
        }
        Some(entries)
    }
}

/// The variable that sets a key.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', SEPARATOR).to_uppercase())
}

/// The file, when it is TOML. The parser's own rendering is not used: it shows the line, secrets too.
fn read_toml(path: &Path, faults: &mut Faults) -> Option<toml::Table> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(fault) => {
            faults.add(path.display().to_string(), format!("cannot be read: {fault}"));
            return None;
        }
    };
    match toml::from_str(&text) {
        Ok(table) => Some(table),
        Err(fault) => {
            let before = fault.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            faults.add(format!("{}:{line}", path.display()), fault.message());
            None
        }
    }
}

fn flatten(
    value: toml::Value,
    path: &str,
    is_key: &impl Fn(&str) -> bool,
    found: &mut impl FnMut(String, Value),
) {
    match value {
        toml::Value::Table(table) if path.is_empty() || !(is_key(path) || table.is_empty()) => {
            for (name, value) in table {
                let below = if path.is_empty() { name } else { format!("{path}.{name}") };
                flatten(value, &below, is_key, found);
            }
        }
        value => found(path.to_owned(), json(value)),
    }
}

fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(at) => at.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Table(table) => table.into_iter().map(|(name, value)| (name, json(value))).collect(),
    }
}
