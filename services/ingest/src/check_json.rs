//! What JSON must satisfy to be stored as jsonb and sent to every client.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::keys::{Key, Keys};

/// How deep arrays and objects may be nested. Clients' parsers have limits, some near 100.
pub(crate) const MAX_DEPTH: usize = 32;

/// Fails with a sentence when the text is no JSON, is nested too deep, holds a NUL or a number beyond 64-bit floating
/// point, or names a key twice.
pub(crate) fn check(json: &str) -> Result<(), String> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    Checked { depth: 0 }.deserialize(&mut deserializer).map_err(|error| without_place(&error))?;
    deserializer.end().map_err(|error| without_place(&error))
}

/// serde_json's message, without the line and column: they count within a part of the body.
pub(crate) fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rfind(" at line ").map_or(text.clone(), |place| text[..place].to_owned())
}

struct Checked {
    depth: usize,
}

impl Checked {
    fn deeper<E: Error>(&self) -> Result<usize, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(self.depth + 1)
    }
}

fn check_text<E: Error>(text: &str) -> Result<(), E> {
    if text.contains('\0') { Err(E::custom("holds the character U+0000")) } else { Ok(()) }
}

impl<'de> DeserializeSeed<'de> for Checked {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Checked {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        check_text(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        while seq.next_element_seed(Checked { depth })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        let mut keys = Keys::default();
        while let Some(key) = map.next_key::<Key<'de>>()? {
            check_text(&key.0)?;
            map.next_value_seed(Checked { depth })?;
            keys.add(key)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_stored_and_sent_passes() {
        let deep = format!("{}1{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        for json in ["1", "null", r#"{"a":[1.5,-2,"x\n",true,null,{"a":{}}]}"#, r#""ü""#, &deep] {
            assert_eq!(check(json), Ok(()), "{json}");
        }
    }

    #[test]
    fn invalid_json_is_named() {
        let deep = format!("{}1{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1));
        let very_deep = "[".repeat(100_000);
        for (json, part) in [
            (r#"{"a":1,"a":2}"#, "twice"),
            (r#"[{"b":{"a":1,"a":2}}]"#, "twice"),
            (r#""\u0000""#, "U+0000"),
            (r#"{"\u0000":1}"#, "U+0000"),
            ("1e400", "out of range"),
            (r#""\ud800""#, "hex escape"),
            (&deep, "nested"),
            (&very_deep, "nested"),
            ("[1", "EOF"),
            ("1 2", "trailing"),
        ] {
            let error = check(json).unwrap_err();
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
