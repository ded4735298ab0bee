//! What a single JSON value is to a sensor: a number, no value, or text.

use serde_json::value::RawValue;

/// Words that stand for a number, by switches and contacts.
const WORDS: [(&str, f64); 4] = [("on", 1.0), ("true", 1.0), ("off", 0.0), ("false", 0.0)];

/// Words that stand for no value: Home Assistant's, of a sensor that is offline or has not reported yet, and what a Shelly
/// puts into a URL for something that it has not measured.
const NOTHING: [&str; 5] = ["", "unavailable", "unknown", "none", "null"];

#[derive(Debug, PartialEq)]
pub(super) enum Leaf {
    Number(f64),
    /// It says that there is no value.
    Nothing,
    /// Something else that is no number.
    Text,
    /// An object or an array.
    Inner,
}

impl Leaf {
    /// Valid JSON. Numbers may be text; a boolean, and the words of a switch, are 1 or 0.
    pub(super) fn of(json: &RawValue) -> Self {
        match json.get().as_bytes().first() {
            Some(b'{' | b'[') => Self::Inner,
            Some(b'n') => Self::Nothing,
            Some(b't') => Self::Number(1.0),
            Some(b'f') => Self::Number(0.0),
            Some(b'"') => Self::of_text(&text(json).unwrap_or_default()),
            _ => number(json.get()).map_or(Self::Text, Self::Number),
        }
    }

    fn of_text(text: &str) -> Self {
        let text = text.trim();
        if let Some(number) = number(text) {
            return Self::Number(number);
        }
        let is = |word: &str| text.eq_ignore_ascii_case(word);
        match WORDS.iter().find(|(word, _)| is(word)) {
            Some((_, number)) => Self::Number(*number),
            None if NOTHING.iter().any(|word| is(word)) => Self::Nothing,
            None => Self::Text,
        }
    }
}

/// A finite one.
fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// The text of a JSON string.
pub(super) fn text(json: &RawValue) -> Option<String> {
    serde_json::from_str(json.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_be_text_and_switches_are_1_or_0() {
        for (json, expected) in [
            ("21.5", Leaf::Number(21.5)),
            ("-1e3", Leaf::Number(-1000.0)),
            (r#"" 21.5 ""#, Leaf::Number(21.5)),
            ("true", Leaf::Number(1.0)),
            ("false", Leaf::Number(0.0)),
            (r#""on""#, Leaf::Number(1.0)),
            (r#""Off""#, Leaf::Number(0.0)),
            ("null", Leaf::Nothing),
            (r#""unavailable""#, Leaf::Nothing),
            (r#""Unknown""#, Leaf::Nothing),
            (r#""null""#, Leaf::Nothing),
            (r#""""#, Leaf::Nothing),
            (r#""heat""#, Leaf::Text),
            (r#""NaN""#, Leaf::Text),
            (r#""inf""#, Leaf::Text),
            (r#""1e400""#, Leaf::Text),
            ("[1]", Leaf::Inner),
            ("{}", Leaf::Inner),
        ] {
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            assert_eq!(Leaf::of(raw), expected, "{json}");
        }
    }
}
