//! Which keys a configuration has, as the schema of its types says.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

use super::kind::Kind;

/// A key with what its type says of it.
#[derive(Debug)]
pub(super) struct Key {
    /// `section.name`
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

fn walk(schema: &Value, path: &str, is_required: bool, in_required_section: bool, keys: &mut Vec<Key>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
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
