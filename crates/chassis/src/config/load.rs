//! Reads the layers and finds every fault in one go.

use std::collections::BTreeMap;
use std::path::PathBuf;

use config::{Config, ConfigError, Environment, File, FileFormat, Map, Value, ValueKind};
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::Settings;
use crate::faults::Faults;

const PREFIX: &str = "ROWCAST_";
const SEPARATOR: &str = "__";

/// Bounds the search for faults: nobody reads more, and each costs a pass over the tree.
const MAX_PASSES: usize = 200;

/// Where a missing key would hide the faults behind it, these stand in, one after the other until one fits. What
/// loads with one is thrown away.
const STAND_INS: usize = 6;

fn stand_in(turn: usize) -> ValueKind {
    match turn {
        0 => ValueKind::Table(Map::new()),
        1 => ValueKind::Array(Vec::new()),
        2 => ValueKind::String("0".to_owned()),
        3 => ValueKind::String("0s".to_owned()),
        4 => ValueKind::String("127.0.0.1:0".to_owned()),
        _ => ValueKind::Boolean(false),
    }
}

/// What lies over the defaults.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    pub(crate) file: Option<PathBuf>,
    pub(crate) env: Vec<(String, String)>,
}

impl Layers {
    /// The process's environment; of it, only names with the prefix and a `__` are configuration.
    pub(crate) fn of_process(file: Option<PathBuf>) -> Self {
        let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
        Self { file, env: std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect() }
    }
}

/// # Errors
/// Every fault of every layer, and those that the service's own check finds.
pub(crate) fn load<C: Settings>(layers: &Layers) -> Result<C, Faults> {
    let mut faults = Faults::default();
    let reading = Reading::new(layers, &mut faults);
    let settled = match reading {
        Some(mut reading) => reading.settle::<C>(&mut faults),
        None => None,
    };
    if let Some(settings) = &settled {
        settings.log().validate(&mut faults);
        settings.validate(&mut faults);
    }
    match settled {
        Some(settings) if faults.is_empty() => Ok(settings),
        _ => Err(faults),
    }
}

/// The merged tree, on its way to a value.
struct Reading {
    tree: Value,
    file: String,
    /// Key to the environment variable that set it.
    variables: BTreeMap<String, String>,
    /// Missing key to the number of the stand-in that is tried for it.
    stand_ins: BTreeMap<String, usize>,
}

impl Reading {
    fn new(layers: &Layers, faults: &mut Faults) -> Option<Self> {
        let mut variables = BTreeMap::new();
        let mut environment = Map::new();
        for (name, value) in &layers.env {
            let Some(key) = name.strip_prefix(PREFIX).filter(|key| key.contains(SEPARATOR)) else { continue };
            variables.insert(key.to_lowercase().replace(SEPARATOR, "."), name.clone());
            environment.insert(name.clone(), value.clone());
        }
        let file = layers.file.as_ref().map(|path| path.display().to_string());
        let text = match &layers.file {
            Some(path) => read_toml(path, faults)?,
            None => String::new(),
        };
        // Without `prefix_separator` the separator would be the prefix's too, and nothing would match.
        let environment = Environment::with_prefix("ROWCAST")
            .prefix_separator("_")
            .separator(SEPARATOR)
            .source(Some(environment));
        let merged = Config::builder()
            .add_source(File::from_str(&text, FileFormat::Toml))
            .add_source(environment)
            .build();
        match merged {
            Ok(merged) => Some(Self {
                tree: merged.cache,
                file: file.unwrap_or_default(),
                variables,
                stand_ins: BTreeMap::new(),
            }),
            Err(fault) => {
                faults.add("environment", own_words(&fault));
                None
            }
        }
    }

    /// Deserialises; notes the fault, takes its key out, and tries again, until the value loads. It loads also
    /// after faults, so that the service's own check can add its own.
    fn settle<C: DeserializeOwned>(&mut self, faults: &mut Faults) -> Option<C> {
        for _ in 0..MAX_PASSES {
            let fault = match serde_path_to_error::deserialize(self.tree.clone()) {
                Ok(settings) => return Some(settings),
                Err(fault) => fault,
            };
            let mut path = keys(fault.path());
            let goes_on = match missing(fault.inner()) {
                Some(field) => {
                    path.push(field.to_owned());
                    self.miss(&path, faults)
                }
                None => self.refuse(&path, &own_words(fault.inner()), faults),
            };
            if !goes_on {
                return None;
            }
        }
        None
    }

    fn miss(&mut self, path: &[String], faults: &mut Faults) -> bool {
        let key = path.join(".");
        let variable = format!("{PREFIX}{}", path.join(SEPARATOR).to_uppercase());
        faults.add(&key, format!("is missing (in the environment: {variable})"));
        self.stand_ins.insert(key, 0);
        put(&mut self.tree, path, stand_in(0))
    }

    fn refuse(&mut self, path: &[String], why: &str, faults: &mut Faults) -> bool {
        let key = path.join(".");
        if let Some(turn) = self.stand_ins.get_mut(&key) {
            *turn += 1;
            return *turn < STAND_INS && put(&mut self.tree, path, stand_in(*turn));
        }
        let shown = if key.is_empty() { "configuration" } else { &key };
        faults.add(shown, format!("{why} ({})", self.layer(&key)));
        take(&mut self.tree, path)
    }

    /// Which layer a key came from: the variables under it, or the file.
    fn layer(&self, key: &str) -> String {
        let inside = format!("{key}.");
        let names: Vec<&str> = self
            .variables
            .iter()
            .filter(|(known, _)| *known == key || known.starts_with(&inside))
            .map(|(_, name)| name.as_str())
            .collect();
        if names.is_empty() { format!("from {}", self.file) } else { format!("from {}", names.join(", ")) }
    }
}

/// The file's text, when it is TOML. The parser's own rendering is not used: it shows the line, secrets too.
fn read_toml(path: &PathBuf, faults: &mut Faults) -> Option<String> {
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

/// The error without the key and origin that the library appends: the key is told once, before it.
fn own_words(fault: &ConfigError) -> String {
    match fault {
        ConfigError::At { error, .. } => own_words(error),
        ConfigError::Type { unexpected, expected, .. } => {
            format!("invalid type: {unexpected}, expected {expected}")
        }
        other => other.to_string(),
    }
}

/// The name of the field that is missing, if that is the fault. The library may put its table's path before it.
fn missing(fault: &ConfigError) -> Option<&str> {
    match fault {
        ConfigError::At { error, .. } => missing(error),
        ConfigError::NotFound(key) => key.rsplit('.').next(),
        _ => None,
    }
}

/// The path's keys down to the first thing that is no table: a fault in a list is its list's.
fn keys(path: &serde_path_to_error::Path) -> Vec<String> {
    path.iter()
        .map_while(|segment| match segment {
            Segment::Map { key } => Some(key.clone()),
            _ => None,
        })
        .collect()
}

fn table<'a>(tree: &'a mut Value, path: &[String]) -> Option<&'a mut Map<String, Value>> {
    let mut at = tree;
    for key in path {
        let ValueKind::Table(entries) = &mut at.kind else { return None };
        at = entries.get_mut(key)?;
    }
    match &mut at.kind {
        ValueKind::Table(entries) => Some(entries),
        _ => None,
    }
}

fn put(tree: &mut Value, path: &[String], kind: ValueKind) -> bool {
    let Some((last, parents)) = path.split_last() else { return false };
    table(tree, parents).map(|entries| entries.insert(last.clone(), Value::new(None, kind))).is_some()
}

fn take(tree: &mut Value, path: &[String]) -> bool {
    let Some((last, parents)) = path.split_last() else { return false };
    table(tree, parents).and_then(|entries| entries.remove(last)).is_some()
}

#[cfg(test)]
mod tests;
