//! The body of a POST: one reading, an array of them, or a line each, as the demo took them.

use serde::{
    Deserialize,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::fmt;
use store::NewReading;
use time::OffsetDateTime;
use wire::{SENSOR_ID_MAX, reading::METADATA_MAX};

use crate::{
    check_json::{self, without_place},
    keys::{Key, Keys},
    limits::{KEY_MAX, MAX_FAULTS, MAX_READINGS, OBJECT_BYTES},
    refusals::{Fault, Refused},
    stored_form::printed_len,
    times::Times,
};

/// The format of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// An object, or an array of them.
    Json,
    /// An object a line.
    Lines,
}

/// The readings of a body.
#[derive(Debug, PartialEq)]
pub(crate) enum Payload {
    /// One object: the answer is the reading.
    One(NewReading),
    /// An array or lines: the answer lists the ids.
    Many(Vec<NewReading>),
}

/// A reading of a list, or what is wrong with it.
pub(crate) type Item = Result<NewReading, Vec<Fault>>;

/// The objects of a body, each as it is written.
enum Objects<'a> {
    One(&'a str),
    Many(Vec<&'a str>),
}

/// Reads a body, and names everything that is wrong with it.
pub(crate) fn parse(body: &[u8], format: Format, times: Times) -> Result<Payload, Refused> {
    match objects(body, format)? {
        Objects::One(text) => item(text, String::new(), times).map(Payload::One).map_err(Refused::Malformed),
        Objects::Many(texts) => all(&texts, times).map(Payload::Many).map_err(Refused::Malformed),
    }
}

/// Reads a body of which some readings may be wrong.
pub(crate) fn parse_each(body: &[u8], format: Format, times: Times) -> Result<Vec<Item>, Refused> {
    let texts = match objects(body, format)? {
        Objects::One(text) => vec![text],
        Objects::Many(texts) => texts,
    };
    Ok(texts.iter().enumerate().map(|(index, text)| item(text, format!("/{index}"), times)).collect())
}

fn objects(body: &[u8], format: Format) -> Result<Objects<'_>, Refused> {
    let text = std::str::from_utf8(body).map_err(|_| Refused::whole("the body is not UTF-8"))?;
    let texts: Vec<&str> = match (format, text.trim_start().bytes().next()) {
        (Format::Lines, _) => text.lines().filter(|line| !line.trim().is_empty()).collect(),
        (Format::Json, None) => return Err(Refused::whole("the body is empty")),
        (Format::Json, Some(b'[')) => {
            let items: Vec<&RawValue> = serde_json::from_str(text)
                .map_err(|error| Refused::whole(format!("the body is not JSON: {error}")))?;
            items.into_iter().map(RawValue::get).collect()
        }
        (Format::Json, Some(_)) if text.len() > OBJECT_BYTES => return Err(Refused::TooLong),
        (Format::Json, Some(_)) => return Ok(Objects::One(text)),
    };
    match texts.len() {
        0 => Err(Refused::whole("the body has no readings")),
        1..=MAX_READINGS => Ok(Objects::Many(texts)),
        _ => Err(Refused::TooMany),
    }
}

/// All of the readings, or the faults of the first wrong ones.
fn all(texts: &[&str], times: Times) -> Result<Vec<NewReading>, Vec<Fault>> {
    let (mut readings, mut faults) = (Vec::with_capacity(texts.len()), Vec::new());
    for (index, text) in texts.iter().enumerate() {
        match item(text, format!("/{index}"), times) {
            Ok(reading) => readings.push(reading),
            Err(found) => faults.extend(found),
        }
        if faults.len() >= MAX_FAULTS {
            break;
        }
    }
    if faults.is_empty() { Ok(readings) } else { Err(faults) }
}

fn item(text: &str, prefix: String, times: Times) -> Item {
    let mut faults = Faults { prefix, list: Vec::new() };
    reading(text, times, &mut faults).filter(|_| faults.list.is_empty()).ok_or(faults.list)
}

struct Faults {
    prefix: String,
    list: Vec<Fault>,
}

impl Faults {
    fn add(&mut self, field: &str, detail: impl Into<String>) {
        let pointer = if field.is_empty() { self.prefix.clone() } else { format!("{}/{field}", self.prefix) };
        self.list.push(Fault { pointer, detail: detail.into() });
    }

    fn note<T>(&mut self, field: &str, value: Result<T, String>) -> Option<T> {
        value.map_err(|detail| self.add(field, detail)).ok()
    }
}

fn reading(text: &str, times: Times, faults: &mut Faults) -> Option<NewReading> {
    let fields: Fields<'_> = match serde_json::from_str(text) {
        Ok(fields) => fields,
        Err(error) => {
            faults.add("", format!("not a JSON object of a reading: {}", without_place(&error)));
            return None;
        }
    };
    let sensor_id = faults.note("sensor_id", required(fields.sensor_id, sensor_id));
    let value = faults.note("value", required(fields.value, value));
    let metadata = faults.note("metadata", fields.metadata.map_or(Ok("{}".to_owned()), metadata));
    let timestamp =
        faults.note("timestamp", fields.timestamp.map_or(Ok(None), |raw| timestamp(raw.get(), times)));
    let key = faults.note("key", fields.key.map_or(Ok(None), |raw| reading_key(raw.get())));
    Some(NewReading {
        sensor_id: sensor_id?,
        value: value?,
        metadata: metadata?,
        timestamp: timestamp?,
        traceparent: None,
        key: key?,
    })
}

/// The fields that a reading has; all others are ignored, as the demo did.
#[derive(Default)]
struct Fields<'a> {
    sensor_id: Option<&'a RawValue>,
    value: Option<&'a RawValue>,
    metadata: Option<&'a RawValue>,
    timestamp: Option<&'a RawValue>,
    key: Option<&'a RawValue>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Fields::default();
                let mut keys = Keys::default();
                while let Some(key) = map.next_key::<Key<'de>>()? {
                    let value: &RawValue = map.next_value()?;
                    match key.0.as_ref() {
                        "sensor_id" => fields.sensor_id = Some(value),
                        "value" => fields.value = Some(value),
                        "metadata" => fields.metadata = Some(value),
                        "timestamp" => fields.timestamp = Some(value),
                        "key" => fields.key = Some(value),
                        _ => {}
                    }
                    keys.add(key)?;
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

fn required<T>(raw: Option<&RawValue>, read: impl Fn(&str) -> Result<T, String>) -> Result<T, String> {
    match raw.map(RawValue::get) {
        None => Err("is missing".to_owned()),
        Some("null") => Err("must not be null".to_owned()),
        Some(json) => read(json),
    }
}

fn sensor_id(json: &str) -> Result<String, String> {
    let id = match json.as_bytes()[0] {
        b'"' => serde_json::from_str::<String>(json).map_err(|error| without_place(&error))?,
        b'-' | b'0'..=b'9' => json.to_owned(),
        _ => return Err("must be a string".to_owned()),
    };
    let id = id.trim();
    check_sensor_id(id).map(|()| id.to_owned())
}

/// What the table demands of a sensor's id.
pub(crate) fn check_sensor_id(id: &str) -> Result<(), String> {
    match id.chars().count() {
        0 => Err("must not be blank".to_owned()),
        length if length > SENSOR_ID_MAX => {
            Err(format!("has {length} characters, at most {SENSOR_ID_MAX} are allowed"))
        }
        _ if id.chars().any(char::is_control) => Err("must not hold control characters".to_owned()),
        _ => Ok(()),
    }
}

fn value(json: &str) -> Result<f64, String> {
    let number = match json.as_bytes()[0] {
        b'"' => {
            let text = serde_json::from_str::<String>(json).map_err(|error| without_place(&error))?;
            text.trim().parse::<f64>().ok()
        }
        // serde_json does not round every number with many digits to the nearest one
        b'-' | b'0'..=b'9' => json.parse::<f64>().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite()).ok_or_else(|| "must be a finite number".to_owned())
}

fn metadata(raw: &RawValue) -> Result<String, String> {
    let json = raw.get();
    if json == "null" {
        return Err("must not be null".to_owned());
    }
    check_json::check(json)?;
    if printed_len(json) > METADATA_MAX {
        return Err(format!("has more than {METADATA_MAX} bytes once its numbers are written out"));
    }
    Ok(json.to_owned())
}

fn timestamp(json: &str, times: Times) -> Result<Option<OffsetDateTime>, String> {
    match json.as_bytes()[0] {
        b'n' => Ok(None),
        b'-' | b'0'..=b'9' => times.of_number(json).map(Some),
        // text, or what is no time
        _ => times.of_text(&serde_json::from_str::<String>(json).unwrap_or_default()).map(Some),
    }
}

/// Null is no key.
fn reading_key(json: &str) -> Result<Option<String>, String> {
    if json == "null" {
        return Ok(None);
    }
    let key: String = serde_json::from_str(json).map_err(|_| "must be a string".to_owned())?;
    match key.chars().count() {
        0 => Err("must not be empty".to_owned()),
        length if length > KEY_MAX => Err(format!("has {length} characters, at most {KEY_MAX} are allowed")),
        _ if key.chars().any(char::is_control) => Err("must not hold control characters".to_owned()),
        _ => Ok(Some(key)),
    }
}

#[cfg(test)]
mod tests;
