//! What fits a key. The environment has nothing but text, so text is taken for whatever it can be read as.

use std::net::SocketAddr;

use serde_json::Value;

/// What fits a key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Text,
    /// One of these words.
    Choice(Vec<String>),
    /// A whole number from the first to the second.
    Integer(i64, u64),
    Number,
    Flag,
    /// `format: duration` in the schema.
    Duration,
    /// `format: socket-address` in the schema.
    Address,
    /// Texts: an array, or one text with commas.
    List,
}

impl Kind {
    /// As the schema of the key's type says.
    pub(super) fn of(schema: &Value) -> Self {
        let alternatives = ["anyOf", "oneOf"].into_iter().find_map(|word| schema.get(word)?.as_array());
        if let Some(alternatives) = alternatives {
            let words: Vec<String> = alternatives.iter().flat_map(words).collect();
            if !words.is_empty() {
                return Self::Choice(words);
            }
            // an option: the other alternative is null
            let some = alternatives.iter().find(|alternative| alternative["type"] != "null");
            return some.map_or(Self::Text, Self::of);
        }
        let words = words(schema);
        if !words.is_empty() {
            return Self::Choice(words);
        }
        let of_type = |name: &str| match &schema["type"] {
            Value::Array(types) => types.iter().any(|own| own == name),
            own => own == name,
        };
        match schema["format"].as_str() {
            Some("duration") => Self::Duration,
            Some("socket-address") => Self::Address,
            _ if of_type("integer") => Self::integer(schema),
            _ if of_type("number") => Self::Number,
            _ if of_type("boolean") => Self::Flag,
            _ if of_type("array") => Self::List,
            _ => Self::Text,
        }
    }

    fn integer(schema: &Value) -> Self {
        let least = schema["minimum"].as_i64().unwrap_or(i64::MIN);
        let most = match (schema["maximum"].as_u64(), schema["format"].as_str()) {
            (Some(most), _) => most,
            (None, Some("uint32")) => u32::MAX.into(),
            (None, Some(format)) if format.starts_with("uint") => u64::MAX,
            (None, _) => i64::MAX.cast_unsigned(),
        };
        Self::Integer(least, most)
    }

    /// The value as its type has it.
    ///
    /// # Errors
    /// What is wrong with it. A text that may be a secret is not repeated.
    pub(super) fn read(&self, value: &Value) -> Result<Value, String> {
        let wrong_type = || Err(format!("invalid type: {}, expected {}", type_of(value), self.expected()));
        let fits = match (self, value) {
            (Self::Text, Value::String(_)) => true,
            (Self::Text, Value::Number(_) | Value::Bool(_)) => return Ok(Value::from(value.to_string())),
            (Self::List, Value::String(text)) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                return Ok(items.collect());
            }
            (Self::List, Value::Array(items)) if items.iter().all(Value::is_string) => true,
            (Self::Number, Value::Number(_)) | (Self::Flag, Value::Bool(_)) => true,
            (Self::Integer(least, most), Value::Number(number)) => {
                number
                    .as_u64()
                    .is_some_and(|number| number <= *most && i128::from(number) >= i128::from(*least))
                    || number.as_i64().is_some_and(|number| number < 0 && number >= *least)
            }
            (Self::Choice(words), Value::String(text)) => words.contains(text),
            (Self::Duration, Value::String(text)) => crate::duration::parse(text).is_some(),
            (Self::Address, Value::String(text)) => text.parse::<SocketAddr>().is_ok(),
            (Self::Integer(..) | Self::Number | Self::Flag, Value::String(text)) => {
                return match self.of_text(text.trim()) {
                    Some(read) if self.read(&read).is_ok() => Ok(read),
                    _ => Err(format!("invalid value: {text:?}, expected {}", self.expected())),
                };
            }
            _ => return wrong_type(),
        };
        if fits {
            Ok(value.clone())
        } else {
            Err(format!("invalid value: {value}, expected {}", self.expected()))
        }
    }

    fn of_text(&self, text: &str) -> Option<Value> {
        match self {
            Self::Flag => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "on" | "yes" => Some(true.into()),
                "false" | "0" | "off" | "no" => Some(false.into()),
                _ => None,
            },
            Self::Number => text.parse::<f64>().ok().map(Value::from),
            _ => text.parse::<u64>().map(Value::from).or_else(|_| text.parse::<i64>().map(Value::from)).ok(),
        }
    }

    /// A value that fits, where a required one is missing or wrong: with it the service's own check can say what
    /// else is wrong.
    pub(super) fn example(&self) -> Value {
        match self {
            Self::Text => "".into(),
            Self::Choice(words) => words.first().map_or("", String::as_str).into(),
            Self::Integer(least, _) => (*least).max(0).into(),
            Self::Number => 0.into(),
            Self::Flag => false.into(),
            Self::Duration => "0s".into(),
            Self::Address => "127.0.0.1:0".into(),
            Self::List => Value::Array(Vec::new()),
        }
    }

    fn expected(&self) -> String {
        match self {
            Self::Text => "a string".to_owned(),
            Self::Choice(words) => words.join(" or "),
            Self::Integer(0, u64::MAX) => "a whole number".to_owned(),
            Self::Integer(least, most) => format!("a whole number from {least} to {most}"),
            Self::Number => "a number".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Duration => "a duration such as 90s or 15m".to_owned(),
            Self::Address => "an address such as 0.0.0.0:8080".to_owned(),
            Self::List => "a list of strings, or one string with commas".to_owned(),
        }
    }
}

/// The words of an enum, in either of the forms that schemas have for it.
fn words(schema: &Value) -> Vec<String> {
    let words = schema.get("enum").and_then(Value::as_array).into_iter().flatten().chain(schema.get("const"));
    words.filter_map(Value::as_str).map(str::to_owned).collect()
}

const fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "sequence",
        Value::Object(_) => "table",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(kind: &Kind, value: Value, read: Result<Value, &str>) {
        assert_eq!(kind.read(&value), read.map_err(str::to_owned));
    }

    #[test]
    fn text_is_read_as_what_the_key_is_for() {
        let port = Kind::Integer(0, 65_535);
        check(&port, json!("5432"), Ok(json!(5432)));
        check(&port, json!(5432), Ok(json!(5432)));
        let range = "expected a whole number from 0 to 65535";
        check(&port, json!("70000"), Err(&format!("invalid value: \"70000\", {range}")));
        check(&port, json!(-1), Err(&format!("invalid value: -1, {range}")));
        check(&port, json!([1]), Err(&format!("invalid type: sequence, {range}")));
        check(&Kind::Integer(i64::MIN, 10), json!("-3"), Ok(json!(-3)));
        check(&Kind::Flag, json!("on"), Ok(json!(true)));
        check(&Kind::Text, json!(7), Ok(json!("7")));
        check(&Kind::List, json!("a:1, b:2,"), Ok(json!(["a:1", "b:2"])));
        check(&Kind::List, json!(["a:1", "b:2"]), Ok(json!(["a:1", "b:2"])));
        check(&Kind::Duration, json!("2h 30m"), Ok(json!("2h 30m")));
        check(
            &Kind::Address,
            json!("x"),
            Err("invalid value: \"x\", expected an address such as 0.0.0.0:8080"),
        );
    }

    #[test]
    fn the_wrong_type_of_a_text_is_said_without_the_value() {
        check(&Kind::Text, json!(["hunter2"]), Err("invalid type: sequence, expected a string"));
        check(&Kind::Text, json!({"hunter2": 1}), Err("invalid type: table, expected a string"));
    }

    #[test]
    fn a_schema_says_the_kind() {
        for (schema, kind) in [
            (json!({"type": "string", "format": "duration"}), Kind::Duration),
            (json!({"type": ["string", "null"]}), Kind::Text),
            (json!({"type": "integer", "format": "uint32", "minimum": 0}), Kind::Integer(0, u32::MAX.into())),
            (json!({"type": "array", "items": {"type": "string"}}), Kind::List),
            (json!({"type": "string", "enum": ["a", "b"]}), Kind::Choice(vec!["a".into(), "b".into()])),
            (
                json!({"oneOf": [{"const": "a"}, {"const": "b"}], "default": "a"}),
                Kind::Choice(vec!["a".into(), "b".into()]),
            ),
            (json!({"anyOf": [{"type": "boolean"}, {"type": "null"}]}), Kind::Flag),
        ] {
            assert_eq!(Kind::of(&schema), kind, "{schema}");
        }
    }
}
