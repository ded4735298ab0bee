//! Reads the layers and finds every fault in one go: unknown keys, values that do not fit, keys that are missing, and then
//! what the service's own check finds.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::keys::{self, KEYS};
use super::layers::{Entry, Layers, variable};
use super::schema::{self, Key};
use super::settings::Settings;
use crate::admin::config::AdminConfig;
use crate::faults::Faults;
use crate::logs::LogConfig;

/// A configuration without faults.
#[derive(Debug)]
pub(crate) struct Loaded<C> {
    pub(crate) log: LogConfig,
    pub(crate) admin: AdminConfig,
    /// The service's own sections.
    pub(crate) service: C,
}

/// The sections that every service has.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Common {
    log: LogConfig,
    admin: AdminConfig,
}

/// # Errors
/// Every fault of every layer, and those that the service's own check finds.
pub(crate) fn load<C: Settings>(layers: &Layers) -> Result<Loaded<C>, Faults> {
    let mut faults = Faults::default();
    let (common, own) = (schema::keys::<Common>(), schema::keys::<C>());
    let has =
        |path: &str| common.iter().chain(&own).any(|key| keys::is(&key.path, path)) || keys::is_listed(path);
    let Some(entries) = layers.entries(has, &mut faults) else { return Err(faults) };
    let own = schema::named(own, entries.keys());
    let known = Known(common.iter().chain(&own).map(|key| (key.path.as_str(), key)).collect());
    let mut values = known.read(entries, &mut faults);
    let common: Option<Common> = take(&common, &mut values, &mut faults);
    let service: Option<C> = take(&own, &mut values, &mut faults);
    if let Some(common) = &common {
        common.log.validate(&mut faults);
    }
    if let Some(service) = &service {
        service.validate(&mut faults);
    }
    match (common, service) {
        (Some(Common { log, admin }), Some(service)) if faults.is_empty() => {
            Ok(Loaded { log, admin, service })
        }
        _ => Err(faults),
    }
}

/// A configuration from these variables alone, for tools and tests.
///
/// # Errors
/// Every fault.
pub fn from_environment<C: Settings>(variables: &[(&str, &str)]) -> Result<C, Faults> {
    let env = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    load(&Layers { file: None, env }).map(|loaded| loaded.service)
}

/// The keys that this service reads, by their paths.
struct Known<'a>(BTreeMap<&'a str, &'a Key>);

impl Known<'_> {
    fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().copied().chain(KEYS.iter().copied())
    }

    fn is_section(&self, path: &str) -> bool {
        self.paths().any(|key| keys::is_below(key, path))
    }

    /// The values of this service's keys that fit; the others are noted.
    fn read(&self, entries: BTreeMap<String, Entry>, faults: &mut Faults) -> BTreeMap<String, Value> {
        let mut values = BTreeMap::new();
        for (path, Entry { value, origin }) in entries {
            let read = match self.0.get(path.as_str()) {
                Some(key) => key.kind.read(&value),
                None if keys::is_listed(&path) => continue,
                None if self.is_section(&path) && value.is_object() => continue,
                None if self.is_section(&path) => Err("is a section: its keys are set one by one".to_owned()),
                None => Err(match keys::nearest(&path, self.paths()) {
                    Some(key) => format!("unknown key: did you mean {key}?"),
                    None => "unknown key".to_owned(),
                }),
            };
            match read {
                Ok(value) => drop(values.insert(path, value)),
                Err(why) => faults.add(path, format!("{why} (from {origin})")),
            }
        }
        values
    }
}

/// A value of the keys' own values. Required keys that are missing are noted, and filled in for the checks behind.
fn take<T: DeserializeOwned>(
    keys: &[Key],
    values: &mut BTreeMap<String, Value>,
    faults: &mut Faults,
) -> Option<T> {
    let mut tree = Map::new();
    for key in keys {
        let section = key.path.rsplit_once('.').map_or("", |(section, _)| section);
        let is_needed = key.is_required && (key.in_required_section || has_keys_of(section, values));
        match values.get(&key.path) {
            Some(value) => put(&mut tree, &key.path, value.clone()),
            None if is_needed => {
                // a value that does not fit is noted already
                faults.add(&key.path, format!("is missing (in the environment: {})", variable(&key.path)));
                put(&mut tree, &key.path, key.kind.example());
            }
            None => {}
        }
    }
    match serde_path_to_error::deserialize(Value::Object(tree)) {
        Ok(settings) => Some(settings),
        Err(fault) => {
            faults.add(fault.path().to_string(), fault.inner().to_string());
            None
        }
    }
}

fn has_keys_of(section: &str, values: &BTreeMap<String, Value>) -> bool {
    values.keys().any(|path| path.strip_prefix(section).is_some_and(|rest| rest.starts_with('.')))
}

fn put(tree: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => drop(tree.insert(path.to_owned(), value)),
        Some((section, rest)) => {
            let section = tree.entry(section).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(section) = section {
                put(section, rest, value);
            }
        }
    }
}
