//! A payload to readings, as a hook's configuration says.

use std::collections::HashSet;

use serde_json::value::RawValue;
use store::NewReading;
use time::OffsetDateTime;
use wire::reading::METADATA_MAX;

use super::{
    leaf::{self, Leaf},
    pointer::{Pointer, children, escaped},
    rule::{Rule, Sensors},
};
use crate::{
    body, check_json,
    limits::{MAX_LINE_READINGS, SPREAD_BYTES},
    refusals::Fault,
    stored_form::printed_len,
    times::{Precision, Times},
};

/// What is where in a payload.
#[derive(Debug)]
pub(super) struct Mapping {
    pub(super) sensor: Rule,
    pub(super) values: Values,
    /// None: the time of the insert.
    pub(super) time: Option<Pointer>,
    pub(super) precision: Option<Precision>,
    /// Names, and what they stand for.
    pub(super) metadata: Vec<(String, Pointer)>,
    /// Only payloads of which one holds have readings; all have, if there are none.
    pub(super) when: Vec<Condition>,
}

/// Where the values are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Values {
    /// One value.
    One(Pointer),
    /// Each number within, as a field of its own.
    Each(Pointer),
}

/// Something that a payload has: anything but null, or this text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) pointer: Pointer,
    pub(super) text: Option<String>,
}

/// Why a payload has no readings.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// Everything that is wrong with it.
    Faulty(Vec<Fault>),
    /// It makes more readings, or larger ones, than one request may.
    TooMuch,
}

impl Unusable {
    fn whole(detail: String) -> Self {
        Self::Faulty(vec![Fault { pointer: String::new(), detail }])
    }
}

/// A number, and the field that it is.
struct Value<'a> {
    field: String,
    number: f64,
    pointer: &'a Pointer,
}

impl Value<'_> {
    fn sensor_id(&self, sensors: &Sensors) -> Result<String, Fault> {
        let id = sensors.id(&self.field);
        let checked = body::check_sensor_id(&id).map_err(|why| match self.field.as_str() {
            "" => format!("the sensor's id {why}"),
            field => format!("the sensor's id of {field:?} {why}"),
        });
        checked.map(|()| id).map_err(|detail| Fault { pointer: self.pointer.to_string(), detail })
    }
}

impl Condition {
    fn holds(&self, payload: &RawValue) -> bool {
        let Some(found) = self.pointer.find(payload).filter(|found| found.get() != "null") else {
            return false;
        };
        self.text.as_ref().is_none_or(|text| leaf::text(found).as_ref() == Some(text) || found.get() == text)
    }
}

impl Mapping {
    /// The readings of one payload, which may have none.
    pub(super) fn readings(&self, payload: &str, now: OffsetDateTime) -> Result<Vec<NewReading>, Unusable> {
        check_json::check(payload)
            .map_err(|why| Unusable::whole(format!("the payload cannot be taken: {why}")))?;
        let payload: &RawValue = serde_json::from_str(payload)
            .map_err(|error| Unusable::whole(check_json::without_place(&error)))?;
        if !(self.when.is_empty() || self.when.iter().any(|condition| condition.holds(payload))) {
            return Ok(Vec::new());
        }
        let mut faults = Vec::new();
        let sensors = note(self.sensor.sensors(payload), &mut faults);
        let values = note(self.values(payload), &mut faults);
        let timestamp = note(self.timestamp(payload, now), &mut faults);
        let metadata = note(self.metadata(payload), &mut faults);
        let (Some(sensors), Some(values), Some(timestamp), Some(metadata)) =
            (sensors, values, timestamp, metadata)
        else {
            return Err(Unusable::Faulty(faults));
        };
        // each reading has the metadata of the payload
        if values.len() > MAX_LINE_READINGS || values.len().saturating_mul(metadata.len()) > SPREAD_BYTES {
            return Err(Unusable::TooMuch);
        }
        let reading = |value: Value<'_>| {
            let sensor_id = value.sensor_id(&sensors)?;
            let metadata = metadata.clone();
            Ok(NewReading {
                sensor_id,
                value: value.number,
                timestamp,
                metadata,
                traceparent: None,
                key: None,
            })
        };
        let readings = values.into_iter().filter_map(|value| note(reading(value), &mut faults)).collect();
        if faults.is_empty() { Ok(readings) } else { Err(Unusable::Faulty(faults)) }
    }

    fn values(&self, payload: &RawValue) -> Result<Vec<Value<'_>>, Fault> {
        let (Values::One(pointer) | Values::Each(pointer)) = &self.values;
        let fault = |detail: &str| Fault { pointer: pointer.to_string(), detail: detail.to_owned() };
        let found = pointer.find(payload).ok_or_else(|| fault("is missing"))?;
        match (&self.values, Leaf::of(found)) {
            (_, Leaf::Nothing) => Ok(Vec::new()),
            (Values::One(_), Leaf::Number(number)) => {
                Ok(vec![Value { field: String::new(), number, pointer }])
            }
            (Values::One(_), _) => Err(fault("must be a finite number, a boolean, or text of one")),
            (Values::Each(_), Leaf::Inner) => {
                let mut fields = Fields { others: self.others(), found: Vec::new() };
                fields.add(found, String::new(), pointer.to_string());
                let value = |(field, number)| Value { field, number, pointer };
                Ok(fields.found.into_iter().map(value).collect())
            }
            (Values::Each(_), _) => Err(fault("must be an object or an array")),
        }
    }

    /// What is no value since it is something else.
    fn others(&self) -> HashSet<String> {
        let metadata = self.metadata.iter().map(|(_, pointer)| pointer);
        let all = self.sensor.pointers().chain(&self.time).chain(metadata);
        all.map(Pointer::to_string).collect()
    }

    fn timestamp(&self, payload: &RawValue, now: OffsetDateTime) -> Result<Option<OffsetDateTime>, Fault> {
        let Some(pointer) = &self.time else { return Ok(None) };
        let times = Times { now, precision: self.precision };
        let read = |json: &RawValue| match json.get().as_bytes().first() {
            Some(b'n') => Ok(None),
            Some(b'"') => {
                let text = leaf::text(json).unwrap_or_default();
                let text = text.trim();
                let is_count = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
                if is_count { times.of_number(text) } else { times.of_text(text) }.map(Some)
            }
            _ => times.of_number(json.get()).map(Some),
        };
        let found = pointer.find(payload).ok_or_else(|| "is missing".to_owned());
        found.and_then(read).map_err(|detail| Fault { pointer: pointer.to_string(), detail })
    }

    /// An object of what the payload has; what it lacks is left out.
    fn metadata(&self, payload: &RawValue) -> Result<String, Fault> {
        let members = self.metadata.iter().filter_map(|(name, pointer)| {
            let found = pointer.find(payload).filter(|found| found.get() != "null")?;
            Some(format!("{}:{}", serde_json::json!(name), found.get()))
        });
        let json = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
        if printed_len(&json) > METADATA_MAX {
            let detail =
                format!("the metadata has more than {METADATA_MAX} bytes once its numbers are written out");
            return Err(Fault { pointer: String::new(), detail });
        }
        Ok(json)
    }
}

fn note<T>(part: Result<T, Fault>, faults: &mut Vec<Fault>) -> Option<T> {
    part.map_err(|fault| faults.push(fault)).ok()
}

/// The numbers within an object or an array.
struct Fields {
    /// What is none of them, as pointers.
    others: HashSet<String>,
    found: Vec<(String, f64)>,
}

impl Fields {
    /// Adds what stands below, named by the steps that lead there. Text that is no number is left out. How deep it is was
    /// checked with the payload.
    fn add(&mut self, json: &RawValue, field: String, pointer: String) {
        if self.others.contains(&pointer) {
            return;
        }
        match Leaf::of(json) {
            Leaf::Number(number) => self.found.push((field, number)),
            Leaf::Nothing | Leaf::Text => {}
            Leaf::Inner => {
                for (step, child) in children(json).unwrap_or_default() {
                    let below = if field.is_empty() { step.to_string() } else { format!("{field}/{step}") };
                    self.add(child, below, format!("{pointer}/{}", escaped(&step)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
