//! The chart's schema and the table of its README, from the comments of its values.

mod values;

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use self::values::{Key, Kind, Mark};
use super::generated::{Generated, splice};

const SCHEMA: &str = "charts/rowcast/values.schema.json";
const README: &str = "charts/rowcast/README.md";

/// Both. Malformed values are reported as files out of date, which contain the reason.
pub(super) fn files(root: &Path) -> [Generated; 2] {
    let page = fs::read_to_string(root.join(README)).unwrap_or_default();
    let made = read(root).map(|keys| (schema(&keys), splice(&page, "<!-- values:", &tables(&keys))));
    let (schema, page) = made.unwrap_or_else(|error| {
        let fault = format!("{error:#}\n");
        (fault.clone(), format!("{page}{fault}"))
    });
    [Generated { path: SCHEMA, text: schema }, Generated { path: README, text: page }]
}

fn read(root: &Path) -> Result<Vec<Key>> {
    let path = root.join("charts/rowcast/values.yaml");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    values::read(&text).with_context(|| format!("{} is malformed", path.display()))
}

/// Draft 7, which Helm 3 supports too.
fn schema(keys: &[Key]) -> String {
    let mut root = closed(Map::new());
    root["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    root["title"] = json!("Values of the chart rowcast");
    for key in keys {
        let (name, above) = key.path.split_last().expect("a key has a name");
        let parent = above.iter().fold(&mut root, |value, name| &mut value["properties"][name]);
        parent["properties"][name] = match &key.default {
            None => closed(Map::new()),
            Some(default) => leaf(key, default),
        };
        if !key.doc.is_empty() {
            parent["properties"][name]["description"] = json!(key.doc);
        }
    }
    format!("{root:#}\n")
}

/// An object with these properties and no other.
fn closed(properties: Map<String, Value>) -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

fn leaf(key: &Key, default: &Value) -> Value {
    let types = types(key, default);
    let is_text = types.iter().any(|name| name == "string");
    let mut schema = Map::from_iter([("type".to_owned(), one_or_many(&types))]);
    for mark in &key.marks {
        let (name, value) = match mark {
            Mark::Null | Mark::Type(_) | Mark::Open => continue,
            Mark::Enum(words) => ("enum", json!(words)),
            Mark::Min(least) => (if is_text { "minLength" } else { "minimum" }, json!(least)),
            Mark::Max(most) => (if is_text { "maxLength" } else { "maximum" }, json!(most)),
            Mark::Pattern(form) => ("pattern", json!(form)),
            Mark::Strings => ("additionalProperties", json!({"type": "string"})),
            Mark::Items(kinds) => ("items", json!({"type": one_or_many(kinds)})),
            Mark::Keys(names) => {
                schema.insert("additionalProperties".to_owned(), json!(false));
                ("properties", settings(names))
            }
        };
        schema.insert(name.to_owned(), value);
    }
    Value::Object(schema)
}

/// A service's settings, as a values file may write them: `section.name`, or `name` below `section`.
fn settings(keys: &[(String, Kind)]) -> Value {
    let mut properties = Map::new();
    for (key, kind) in keys {
        properties.insert(key.clone(), setting(*kind));
        if let Some((section, name)) = key.split_once('.') {
            let section = properties.entry(section).or_insert_with(|| closed(Map::new()));
            section["properties"][name] = setting(*kind);
        }
    }
    Value::Object(properties)
}

fn setting(kind: Kind) -> Value {
    match kind {
        Kind::Integer => json!({"type": "integer", "minimum": 0}),
        Kind::Text => json!({"type": "string"}),
        Kind::Strings => json!({"type": ["string", "array"], "items": {"type": "string"}}),
        // a number alone would have no unit
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Duration => json!({"type": "string", "pattern": "^([0-9]+ ?[a-z]+ ?)+$"}),
    }
}

/// Those of the default, unless a mark sets others.
fn types(key: &Key, default: &Value) -> Vec<String> {
    let mut types = vec![kind(default).to_owned()];
    for mark in &key.marks {
        match mark {
            Mark::Type(given) => types.clone_from(given),
            Mark::Items(_) => types = vec!["array".to_owned()],
            _ => {}
        }
    }
    if key.marks.contains(&Mark::Null) {
        types.push("null".to_owned());
    }
    types
}

fn one_or_many(types: &[String]) -> Value {
    match types {
        [one] => json!(one),
        many => json!(many),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A table for each section.
fn tables(keys: &[Key]) -> String {
    let mut text = String::new();
    let mut section = "";
    for key in keys {
        if key.default.is_none() && key.doc.is_empty() {
            continue;
        }
        if key.section != section {
            section = &key.section;
            let between = if text.is_empty() { "" } else { "\n" };
            text += &format!("{between}### {section}\n\n| key | what | default |\n|---|---|---|\n");
        }
        let default = match &key.default {
            None => String::new(),
            Some(Value::String(text)) if text.is_empty() => String::new(),
            Some(Value::String(text)) => format!("`{text}`"),
            Some(other) => format!("`{other}`"),
        };
        text += &format!("| `{}` | {} | {default} |\n", key.path.join("."), key.doc.replace('|', "\\|"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_refuses_unknown_values() {
        let keys = values::read(
            "## A\n# Pods.\n# @min 1\nreplicas: 2\ngroup:\n  # Free.\n  # @open\n  free: {}\n  # How.\n  # @enum a, b\n  how: a\n",
        )
        .unwrap();
        let schema: Value = serde_json::from_str(&schema(&keys)).unwrap();
        assert_eq!(schema["additionalProperties"], json!(false));
        let properties = &schema["properties"];
        assert_eq!(properties["replicas"], json!({"type": "integer", "minimum": 1, "description": "Pods."}));
        let group = &properties["group"];
        assert_eq!(group["additionalProperties"], json!(false));
        assert_eq!(group["properties"]["free"], json!({"type": "object", "description": "Free."}));
        assert_eq!(group["properties"]["how"]["enum"], json!(["a", "b"]));
    }

    #[test]
    fn a_section_has_a_table_of_its_keys() {
        let keys = values::read("## A\n# One|two.\na: 1\n\n## B\n# Text.\nb: \"\"\n").unwrap();
        let head = "| key | what | default |\n|---|---|---|\n";
        let expected =
            format!("### A\n\n{head}| `a` | One\\|two. | `1` |\n\n### B\n\n{head}| `b` | Text. |  |\n");
        assert_eq!(tables(&keys), expected);
    }
}
