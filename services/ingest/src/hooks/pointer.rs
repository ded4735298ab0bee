//! JSON pointers (RFC 6901): where something stands in a payload.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::keys::Key;

/// A pointer. An empty one is the whole payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer {
    text: String,
    steps: Vec<String>,
}

impl FromStr for Pointer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || {
            format!("{text:?} is not a JSON pointer such as /uplink/value, or empty for the whole payload")
        };
        let steps = match text.strip_prefix('/') {
            Some(steps) => steps.split('/').map(unescaped).collect::<Option<_>>().ok_or_else(fault)?,
            None if text.is_empty() => Vec::new(),
            None => return Err(fault()),
        };
        Ok(Self { text: text.to_owned(), steps })
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Pointer {
    /// What stands there. The payload must be valid JSON.
    pub(super) fn find<'a>(&self, payload: &'a RawValue) -> Option<&'a RawValue> {
        self.steps.iter().try_fold(payload, |json, step| {
            let (_, found) = children(json)?.into_iter().find(|(own, _)| own == step)?;
            Some(found)
        })
    }
}

/// What an object or an array holds, each with the step that leads there; none of anything else.
pub(super) fn children(json: &RawValue) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    match json.get().as_bytes().first()? {
        b'{' => Members.deserialize(&mut serde_json::Deserializer::from_str(json.get())).ok(),
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(json.get()).ok()?;
            let steps = (0_usize..).map(|index| Cow::Owned(index.to_string()));
            Some(steps.zip(items).collect())
        }
        _ => None,
    }
}

/// A step as it stands in a pointer.
pub(super) fn escaped(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

fn unescaped(step: &str) -> Option<String> {
    let mut parts = step.split('~');
    let mut whole = parts.next()?.to_owned();
    for part in parts {
        let (character, rest) = match part.as_bytes().first()? {
            b'0' => ('~', &part[1..]),
            b'1' => ('/', &part[1..]),
            _ => return None,
        };
        whole.push(character);
        whole.push_str(rest);
    }
    Some(whole)
}

/// The members of an object, in its order.
struct Members;

impl<'de> DeserializeSeed<'de> for Members {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((key, value)) = map.next_entry::<Key<'de>, &RawValue>()? {
            members.push((key.0, value));
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// That of RFC 6901 §5.
    const PAYLOAD: &str = r#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"k\"l":6," ":7,"m~n":8}"#;

    #[track_caller]
    fn check(pointer: &str, found: Option<&str>) {
        let payload: &RawValue = serde_json::from_str(PAYLOAD).unwrap();
        let pointer: Pointer = pointer.parse().unwrap();
        assert_eq!(pointer.find(payload).map(RawValue::get), found, "{pointer}");
    }

    #[test]
    fn pointers_lead_where_the_rfc_says() {
        check("", Some(PAYLOAD));
        check("/foo", Some(r#"["bar","baz"]"#));
        check("/foo/0", Some(r#""bar""#));
        check("/", Some("0"));
        check("/a~1b", Some("1"));
        check("/c%d", Some("2"));
        check("/e^f", Some("3"));
        check("/k\"l", Some("6"));
        check("/ ", Some("7"));
        check("/m~0n", Some("8"));
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for pointer in ["/foo/2", "/foo/00", "/foo/-", "/foo/bar", "/foo/0/0", "/x", "/foo/", "//"] {
            check(pointer, None);
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for text in ["foo", "/a~", "/a~2", "a/b", " /a"] {
            let fault = text.parse::<Pointer>().unwrap_err();
            assert!(fault.contains("is not a JSON pointer"), "{fault}");
        }
    }

    #[test]
    fn an_escaped_step_is_found_again() {
        for step in ["", "a/b", "~1", "m~n", "~/"] {
            assert_eq!(unescaped(&escaped(step)).as_deref(), Some(step));
        }
    }
}
