//! The wire's messages and close codes as TypeScript, from the wire crate's schemas.

use std::fmt::Write;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};
use wire::{ServerMessage, close::Close, command::ClientMessage};

/// The whole module.
pub(super) fn module() -> String {
    // as it is written: what is left out at its default is optional
    let mut generator = SchemaSettings::default().for_serialize().into_generator();
    generator.subschema_for::<ServerMessage>();
    generator.subschema_for::<ClientMessage>();
    let definitions = generator.take_definitions(true);
    let mut module = "\
/** The messages between gateway and client. Written by `cargo xtask codegen` from crates/wire. */

/** The WebSocket subprotocol. */
"
    .to_owned();
    module.push_str(&format!("export const SUBPROTOCOL = {:?};\n", wire::SUBPROTOCOL));
    for (name, schema) in &definitions {
        module.push('\n');
        module.push_str(&declaration(name, schema));
    }
    module.push('\n');
    module.push_str(&close_codes());
    module
}

fn declaration(name: &str, schema: &Value) -> String {
    let doc = doc(schema, "");
    match schema["properties"].as_object() {
        Some(properties) => {
            let fields = fields(properties, &schema["required"]);
            format!("{doc}export interface {name} {{\n{fields}}}\n")
        }
        None => format!("{doc}export type {name} = {};\n", type_of(schema)),
    }
}

fn fields(properties: &Map<String, Value>, required: &Value) -> String {
    let required = required.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut fields = String::new();
    for (name, schema) in properties {
        let is_present = required.contains(&name.as_str().into()) && !is_nullable(schema);
        let optional = if is_present { "" } else { "?" };
        fields.push_str(&doc(schema, "  "));
        let _ = writeln!(fields, "  {name}{optional}: {};", type_of(schema));
    }
    fields
}

fn doc(schema: &Value, indent: &str) -> String {
    schema["description"].as_str().map_or_else(String::new, |text| {
        let text = text.replace('\n', " ").replace("*/", "* /");
        format!("{indent}/** {text} */\n")
    })
}

/// No null is ever written: what may be null is left out.
fn is_nullable(schema: &Value) -> bool {
    let any_of = schema["anyOf"].as_array().is_some_and(|any| any.iter().any(|one| one["type"] == "null"));
    any_of || schema["type"].as_array().is_some_and(|types| types.contains(&"null".into()))
}

fn type_of(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap_or(reference).to_owned();
    }
    if let Some(literal) = schema.get("const") {
        return literal.to_string();
    }
    if let Some(literals) = schema["enum"].as_array() {
        return union(literals.iter().map(Value::to_string));
    }
    for alternatives in ["oneOf", "anyOf"] {
        if let Some(alternatives) = schema[alternatives].as_array() {
            return union(alternatives.iter().filter(|one| one["type"] != "null").map(type_of));
        }
    }
    match &schema["type"] {
        Value::String(name) => named(name, schema),
        Value::Array(names) => {
            let names = names.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            union(names.map(|name| named(name, schema)))
        }
        _ => "unknown".to_owned(),
    }
}

fn named(name: &str, schema: &Value) -> String {
    match name {
        "integer" => "number".to_owned(),
        "array" => format!("{}[]", type_of(&schema["items"])),
        "object" => match schema["properties"].as_object() {
            Some(properties) => {
                let fields = properties.iter().map(|(name, schema)| format!("{name}: {}", type_of(schema)));
                format!("{{ {} }}", fields.collect::<Vec<_>>().join("; "))
            }
            None => "Record<string, never>".to_owned(),
        },
        name => name.to_owned(),
    }
}

fn union(types: impl Iterator<Item = String>) -> String {
    types.collect::<Vec<_>>().join(" | ")
}

fn close_codes() -> String {
    let mut table = "\
/** What a client does after a close. */
export type Next = \"resume\" | \"back-off\" | \"snapshot\" | \"authenticate\" | \"stop\";

/** Why a socket ends, by its close code. */
export const CLOSE_CODES: Readonly<Record<number, { reason: string; next: Next }>> = {
"
    .to_owned();
    for close in Close::ALL {
        let (code, reason, next) = (close.code(), close.reason(), documents::next_word(close.next()));
        let _ = writeln!(table, "  {code}: {{ reason: \"{reason}\", next: \"{next}\" }},");
    }
    table.push_str("};\n");
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(schema: Value, expected: &str) {
        assert_eq!(type_of(&schema), expected, "{schema}");
    }

    #[test]
    fn a_schema_has_its_type() {
        check(json!({"type": "integer", "format": "uint64"}), "number");
        check(json!({"type": ["integer", "null"]}), "number");
        check(json!({"type": "array", "items": {"type": "string"}}), "string[]");
        check(json!({"$ref": "#/$defs/Gap"}), "Gap");
        check(json!({"anyOf": [{"$ref": "#/$defs/Gap"}, {"type": "null"}]}), "Gap");
        check(json!({"oneOf": [{"const": "a"}, {"enum": ["b", "c"]}]}), r#""a" | "b" | "c""#);
        check(json!({"type": "object"}), "Record<string, never>");
        check(json!({"type": "object", "properties": {"last": {"type": "string"}}}), "{ last: string }");
        check(json!(true), "unknown");
        check(json!({"description": "any"}), "unknown");
    }

    #[test]
    fn a_field_that_is_not_required_is_optional() {
        let schema = json!({
            "description": "Doc.",
            "properties": {
                "a": {"type": "string", "description": "A."},
                "b": {"type": "boolean"},
                "c": {"type": ["integer", "null"]}
            },
            "required": ["a", "c"]
        });
        assert_eq!(
            declaration("Both", &schema),
            "/** Doc. */\nexport interface Both {\n  /** A. */\n  a: string;\n  b?: boolean;\n  c?: number;\n}\n"
        );
    }

    #[test]
    fn every_close_code_has_its_row() {
        let table = close_codes();
        for close in Close::ALL {
            assert!(
                table.contains(&format!("  {}: {{ reason: \"{}\"", close.code(), close.reason())),
                "{close:?}"
            );
        }
    }
}
