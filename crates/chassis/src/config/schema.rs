//! Which keys a configuration has, as the schema of its types says.

use std::collections::BTreeSet;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

use super::kind::Kind;

/// Stands in a key's path for the names that a configuration gives: `hooks.<name>.sensor`.
pub(super) const NAME: &str = "<name>";

/// A key with what its type says of it.
#[derive(Debug, Clone)]
pub(super) struct Key {
    /// `section.name`, or `section.<name>.key` where a section has parts that the configuration names.
    pub(super) path: String,
    pub(super) kind: Kind,
    /// Whether its section cannot be without it.
    pub(super) is_required: bool,
    /// Whether the configuration cannot be without its section.
    pub(super) in_required_section: bool,
}

/// All keys of a configuration.
pub(super) fn keys<C: JsonSchema>() -> Vec<Key> {
    let settings = SchemaSettings::draft2020_12().for_deserialize().with(|to| to.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<C>();
    let mut keys = Vec::new();
    walk(schema.as_value(), "", true, true, &mut keys);
    keys
}

/// The keys, with those of every part that the paths name.
pub(super) fn named<'a>(keys: Vec<Key>, paths: impl Iterator<Item = &'a String> + Clone) -> Vec<Key> {
    let mut all = Vec::new();
    for key in keys {
        if let Some((section, rest)) = key.path.split_once(&format!(".{NAME}")) {
            let below = paths.clone().filter_map(|path| path.strip_prefix(section)?.strip_prefix('.'));
            let names: BTreeSet<&str> = below.filter_map(|path| path.split('.').next()).collect();
            all.extend(
                names.iter().map(|name| Key { path: format!("{section}.{name}{rest}"), ..key.clone() }),
            );
        }
        all.push(key);
    }
    all
}

fn walk(schema: &Value, path: &str, is_required: bool, in_required_section: bool, keys: &mut Vec<Key>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        // a map
        if let Some(part) = schema.get("additionalProperties").filter(|part| part.is_object()) {
            return walk(part, &format!("{path}.{NAME}"), false, false, keys);
        }
        let kind = Kind::of(schema);
        return keys.push(Key { path: path.to_owned(), kind, is_required, in_required_section });
    };
    let required = schema.get("required").and_then(Value::as_array);
    for (name, property) in properties {
        let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let needs = required.is_some_and(|required| required.iter().any(|key| key == name));
        walk(property, &below, needs, is_required && in_required_section, keys);
    }
}
