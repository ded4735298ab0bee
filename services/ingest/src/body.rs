//! The body of a POST: one reading, an array of them, or a line each, as the demo took them.

use serde::{
    Deserialize,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::fmt;
use store::NewReading;
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};
use wire::{SENSOR_ID_MAX, reading::METADATA_MAX};

use crate::{
    check_json::{self, without_place},
    keys::{Key, Keys},
    limits::{MAX_AHEAD, MAX_FAULTS, MAX_READINGS, OBJECT_BYTES},
    refusals::{Fault, Refused},
    stored_form::printed_len,
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

/// Reads a body, and names everything that is wrong with it.
pub(crate) fn parse(body: &[u8], format: Format, now: OffsetDateTime) -> Result<Payload, Refused> {
    let text = std::str::from_utf8(body).map_err(|_| Refused::whole("the body is not UTF-8"))?;
    if format == Format::Lines {
        let lines = text.lines().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>();
        return many(lines.len(), lines.into_iter(), now);
    }
    match text.trim_start().bytes().next() {
        None => Err(Refused::whole("the body is empty")),
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text)
                .map_err(|error| Refused::whole(format!("the body is not JSON: {error}")))?;
            many(items.len(), items.into_iter().map(RawValue::get), now)
        }
        Some(_) if text.len() > OBJECT_BYTES => Err(Refused::TooLong),
        Some(_) => {
            let mut faults = Faults { prefix: String::new(), list: Vec::new() };
            match reading(text, now, &mut faults) {
                Some(reading) if faults.list.is_empty() => Ok(Payload::One(reading)),
                _ => Err(Refused::Malformed(faults.list)),
            }
        }
    }
}

fn many<'a>(
    count: usize,
    items: impl Iterator<Item = &'a str>,
    now: OffsetDateTime,
) -> Result<Payload, Refused> {
    if count == 0 {
        return Err(Refused::whole("the body has no readings"));
    }
    if count > MAX_READINGS {
        return Err(Refused::TooMany);
    }
    let mut faults = Faults { prefix: String::new(), list: Vec::new() };
    let mut readings = Vec::with_capacity(count);
    for (index, item) in items.enumerate() {
        faults.prefix = format!("/{index}");
        readings.extend(reading(item, now, &mut faults));
        if faults.list.len() >= MAX_FAULTS {
            break;
        }
    }
    if faults.list.is_empty() { Ok(Payload::Many(readings)) } else { Err(Refused::Malformed(faults.list)) }
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

fn reading(text: &str, now: OffsetDateTime, faults: &mut Faults) -> Option<NewReading> {
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
    let timestamp = faults.note("timestamp", fields.timestamp.map_or(Ok(None), |raw| timestamp(raw, now)));
    Some(NewReading {
        sensor_id: sensor_id?,
        value: value?,
        metadata: metadata?,
        timestamp: timestamp?,
        traceparent: None,
    })
}

/// The fields that a reading has; all others are ignored, as the demo did.
#[derive(Default)]
struct Fields<'a> {
    sensor_id: Option<&'a RawValue>,
    value: Option<&'a RawValue>,
    metadata: Option<&'a RawValue>,
    timestamp: Option<&'a RawValue>,
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
    match id.chars().count() {
        0 => Err("must not be blank".to_owned()),
        length if length > SENSOR_ID_MAX => {
            Err(format!("has {length} characters, at most {SENSOR_ID_MAX} are allowed"))
        }
        _ if id.chars().any(char::is_control) => Err("must not hold control characters".to_owned()),
        _ => Ok(id.to_owned()),
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

fn timestamp(raw: &RawValue, now: OffsetDateTime) -> Result<Option<OffsetDateTime>, String> {
    if raw.get() == "null" {
        return Ok(None);
    }
    let shape = || "must be an RFC 3339 time such as 2026-11-23T08:15:30.25Z".to_owned();
    let text: String = serde_json::from_str(raw.get()).map_err(|_| shape())?;
    let at = OffsetDateTime::parse(text.trim(), &Rfc3339).map_err(|_| shape())?;
    // Postgres has no year 0, nor what a shift to UTC makes of it
    let at = at.checked_to_offset(UtcOffset::UTC).filter(|at| at.year() >= 1).ok_or_else(shape)?;
    if at > now + MAX_AHEAD {
        return Err("is more than 24 hours ahead".to_owned());
    }
    Ok(Some(at))
}

#[cfg(test)]
mod tests;
