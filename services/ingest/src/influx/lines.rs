//! Lines to readings.

use std::collections::BTreeMap;

use influxdb_line_protocol::{FieldValue, ParsedLine, parse_lines, split_lines};
use store::NewReading;
use time::OffsetDateTime;
use wire::Reading;

use super::rule::{Field, Rule};
use crate::{
    body,
    committer::not_stored::NotStored,
    limits::{MAX_LINE_READINGS, OBJECT_BYTES, SPREAD_BYTES},
    times::Times,
};

/// Where a request's lines belong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) rule: &'a Rule,
    pub(crate) org: &'a str,
    pub(crate) bucket: &'a str,
}

/// What the lines of a request hold.
#[derive(Debug, Default, Clone)]
pub(crate) struct Lines {
    pub(crate) readings: Vec<NewReading>,
    /// How many lines, or numbers of a line, are no readings.
    pub(crate) dropped: usize,
    /// The first of them: its line, counted from 1, and why.
    pub(crate) first: Option<(usize, String)>,
    /// The bytes of the metadata, which all numbers of a line have alike.
    spread: usize,
}

/// The lines make more readings, or larger ones, than one request may.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMuch;

impl Lines {
    /// Reads them. What is wrong with one line keeps no other out.
    pub(crate) fn read(text: &str, place: Place<'_>, times: Times) -> Result<Self, TooMuch> {
        let mut lines = Self::default();
        for (index, line) in split_lines(text).enumerate() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.len() > OBJECT_BYTES {
                lines.drop_one(index + 1, format!("is longer than {OBJECT_BYTES} bytes"));
                continue;
            }
            // one, or none of a comment
            for parsed in parse_lines(line) {
                match parsed {
                    Ok(parsed) => lines.take(index + 1, &parsed, place, times)?,
                    Err(error) => lines.drop_one(index + 1, error.to_string()),
                }
            }
        }
        Ok(lines)
    }

    /// Counts what is no reading; line 0 is one that is not known.
    pub(crate) fn drop_one(&mut self, line: usize, why: String) {
        self.dropped += 1;
        self.first.get_or_insert((line, why));
    }

    /// With those that the table refused.
    pub(crate) fn refused(mut self, results: &[Result<Reading, NotStored>]) -> Self {
        for error in results.iter().filter_map(|result| result.as_ref().err()) {
            self.drop_one(0, error.to_string());
        }
        self
    }

    fn take(
        &mut self,
        number: usize,
        line: &ParsedLine<'_>,
        place: Place<'_>,
        times: Times,
    ) -> Result<(), TooMuch> {
        let of_line = timestamp(line, times).and_then(|at| Ok((at, Tags::of(line)?)));
        let (timestamp, tags) = match of_line {
            Ok(of_line) => of_line,
            Err(why) => {
                self.drop_one(number, why);
                return Ok(());
            }
        };
        let tag_list: Vec<(&str, &str)> = tags.0.iter().map(|(name, value)| (*name, *value)).collect();
        let metadata = metadata(line, &tags);
        for (name, value) in &line.field_set {
            let Some(value) = number_of(value) else { continue };
            let field = Field {
                org: place.org,
                bucket: place.bucket,
                measurement: line.series.measurement.as_str(),
                tags: &tag_list,
                field: name.as_str(),
            };
            match reading(place.rule.sensor_id(&field), value, &metadata, timestamp) {
                Ok(reading) => self.push(reading)?,
                Err(why) => self.drop_one(number, format!("{}: {why}", name.as_str())),
            }
        }
        Ok(())
    }

    fn push(&mut self, reading: NewReading) -> Result<(), TooMuch> {
        self.spread += reading.metadata.len();
        self.readings.push(reading);
        if self.readings.len() > MAX_LINE_READINGS || self.spread > SPREAD_BYTES {
            return Err(TooMuch);
        }
        Ok(())
    }
}

/// The tags of a line, in the order of their names.
struct Tags<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Tags<'a> {
    fn of(line: &'a ParsedLine<'_>) -> Result<Self, String> {
        let mut tags = BTreeMap::new();
        for (name, value) in line.series.tag_set.iter().flatten() {
            if tags.insert(name.as_str(), value.as_str()).is_some() {
                return Err(format!("names the tag {:?} twice", name.as_str()));
            }
        }
        Ok(Self(tags))
    }
}

/// The tags, and the texts among the fields, as an object. A tag goes before a field of its name.
fn metadata(line: &ParsedLine<'_>, tags: &Tags<'_>) -> String {
    let texts = line.field_set.iter().filter_map(|(name, value)| match value {
        FieldValue::String(text) => Some((name.as_str(), text.as_str())),
        _ => None,
    });
    let mut members: BTreeMap<&str, &str> = texts.collect();
    members.extend(&tags.0);
    serde_json::json!(members).to_string()
}

fn timestamp(line: &ParsedLine<'_>, times: Times) -> Result<Option<OffsetDateTime>, String> {
    line.timestamp.map(|count| times.of_count(count).map_err(|why| format!("timestamp: {why}"))).transpose()
}

/// A boolean is 1 or 0; text is no number, and stands in the metadata.
fn number_of(value: &FieldValue<'_>) -> Option<f64> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "a reading's value is a float")]
        FieldValue::I64(number) => Some(*number as f64),
        #[expect(clippy::cast_precision_loss, reason = "a reading's value is a float")]
        FieldValue::U64(number) => Some(*number as f64),
        FieldValue::F64(number) => Some(*number),
        FieldValue::Boolean(is) => Some(f64::from(u8::from(*is))),
        FieldValue::String(_) => None,
    }
}

fn reading(
    sensor_id: String,
    value: f64,
    metadata: &str,
    timestamp: Option<OffsetDateTime>,
) -> Result<NewReading, String> {
    body::check_sensor_id(&sensor_id)?;
    if !value.is_finite() {
        return Err("must be a finite number".to_owned());
    }
    if metadata.contains("\\u0000") {
        return Err("a tag or text must not hold U+0000".to_owned());
    }
    Ok(NewReading {
        sensor_id,
        value,
        timestamp,
        metadata: metadata.to_owned(),
        traceparent: None,
        key: None,
    })
}

#[cfg(test)]
mod tests;
