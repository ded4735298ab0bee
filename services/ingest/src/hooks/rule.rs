//! The sensor to which a value of a payload belongs.

use std::{fmt, str::FromStr};

use serde_json::value::RawValue;

use super::{leaf, pointer::Pointer};
use crate::refusals::Fault;

/// A rule by which the sensor's id is made, such as `acme/{/device/id}/{field}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// What stands there in the payload.
    Found(Pointer),
    /// The name of the value, where a payload has several.
    Field,
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("has a { without its }")?;
            parts.extend((!before.is_empty()).then(|| Part::Text(before.to_owned())));
            parts.push(match name {
                "field" => Part::Field,
                pointer if pointer.starts_with('/') => Part::Found(pointer.parse()?),
                _ => {
                    return Err(format!(
                        "knows no {{{name}}}, but {{field}} and pointers such as {{/device/id}}"
                    ));
                }
            });
            rest = after;
        }
        parts.extend((!rest.is_empty()).then(|| Part::Text(rest.to_owned())));
        if parts.is_empty() { Err("must not be empty".to_owned()) } else { Ok(Self(parts)) }
    }
}

/// What a rule has found of a payload: what is left open is the field.
pub(super) struct Sensors(Vec<Option<String>>);

impl fmt::Debug for Sensors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

impl Rule {
    pub(super) fn has_field(&self) -> bool {
        self.0.contains(&Part::Field)
    }

    /// Where it looks.
    pub(super) fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        self.0.iter().filter_map(|part| match part {
            Part::Found(pointer) => Some(pointer),
            Part::Text(_) | Part::Field => None,
        })
    }

    /// The sensors of a payload.
    pub(super) fn sensors(&self, payload: &RawValue) -> Result<Sensors, Fault> {
        let part = |part: &Part| match part {
            Part::Text(text) => Ok(Some(text.clone())),
            Part::Field => Ok(None),
            Part::Found(pointer) => found(pointer, payload)
                .map(Some)
                .map_err(|detail| Fault { pointer: pointer.to_string(), detail }),
        };
        self.0.iter().map(part).collect::<Result<_, _>>().map(Sensors)
    }
}

impl Sensors {
    /// The id of the sensor of one field.
    pub(super) fn id(&self, field: &str) -> String {
        self.0.iter().map(|part| part.as_deref().unwrap_or(field)).collect()
    }
}

fn found(pointer: &Pointer, payload: &RawValue) -> Result<String, String> {
    let json = pointer.find(payload).ok_or("is missing")?;
    let text = match json.get().as_bytes().first() {
        Some(b'"') => leaf::text(json).unwrap_or_default().trim().to_owned(),
        Some(b'-' | b'0'..=b'9') => json.get().to_owned(),
        _ => return Err("must be a string or a number".to_owned()),
    };
    if text.is_empty() { Err("must not be blank".to_owned()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYLOAD: &str = r#"{"device":{"id":"d-1","slot":7},"blank":" ","list":[1]}"#;

    fn id(rule: &str, field: &str) -> Result<String, String> {
        let payload: &RawValue = serde_json::from_str(PAYLOAD).unwrap();
        let sensors = rule.parse::<Rule>().unwrap().sensors(payload);
        sensors.map(|sensors| sensors.id(field)).map_err(|fault| fault.to_string())
    }

    #[test]
    fn an_id_is_made_of_text_of_what_the_payload_has_and_of_the_field() {
        assert_eq!(id("acme/{/device/id}/{field}", "t").unwrap(), "acme/d-1/t");
        assert_eq!(id("{/device/id}.{/device/slot}", "").unwrap(), "d-1.7");
        assert_eq!(id("kitchen", "t").unwrap(), "kitchen");
    }

    #[test]
    fn what_the_payload_lacks_is_named() {
        assert_eq!(id("{/device/name}", "").unwrap_err(), "device/name: is missing");
        assert_eq!(id("{/blank}", "").unwrap_err(), "blank: must not be blank");
        assert_eq!(id("{/list}", "").unwrap_err(), "list: must be a string or a number");
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for (rule, part) in [
            ("", "must not be empty"),
            ("{field", "without its }"),
            ("{device}", "knows no {device}"),
            ("{}", "knows no {}"),
            ("{/a~}", "is not a JSON pointer"),
        ] {
            let fault = rule.parse::<Rule>().unwrap_err();
            assert!(fault.contains(part), "{rule}: {fault}");
        }
    }
}
