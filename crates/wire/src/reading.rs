//! A reading and its one JSON form, the same bytes over HTTP and every socket.

use std::io::Write;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::stamp;

/// The longest `sensor_id`, in characters.
pub const SENSOR_ID_MAX: usize = 100;

/// One row of `sensor_readings`.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// From the table's sequence.
    pub id: i64,
    /// 1 to [`SENSOR_ID_MAX`] characters, none of them a control character.
    pub sensor_id: String,
    /// Finite.
    pub value: f64,
    /// The device's time, or the time of the POST.
    pub timestamp: OffsetDateTime,
    /// JSON text, as Postgres or the client wrote it. Empty, or longer than [`METADATA_MAX`], it is not sent.
    pub metadata: String,
    /// When the row was inserted.
    pub created_at: OffsetDateTime,
    /// The same, unless a SQL writer sets it.
    pub updated_at: OffsetDateTime,
}

/// A reading's JSON object, as clients read it and schemas describe it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Reading")]
pub struct ReadingObject {
    /// From the table's sequence; unique.
    pub id: i64,
    /// 1 to 100 characters, none of them a control character.
    pub sensor_id: String,
    /// Finite.
    pub value: f64,
    /// The device's time, or the time of the POST: RFC 3339, UTC, microseconds.
    pub timestamp: String,
    /// Any JSON that the device sent; `{}` if it sent none, or if it is too large to be sent.
    pub metadata: serde_json::Value,
    /// When the row was inserted.
    pub created_at: String,
    /// The same, unless a SQL writer sets it.
    pub updated_at: String,
    /// `true` where the metadata is too large to be sent: more than 1 MiB of text. Absent otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// The most metadata that is sent, in bytes of its text. Only a table with rows from before the limit, or with numbers of
/// very many digits, holds more.
pub const METADATA_MAX: usize = 1 << 20;

impl Reading {
    /// Appends the reading as a JSON object with the demo's seven fields in the demo's order.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        self.write_fields(out);
        out.push(b'}');
    }

    /// Appends the object without its closing brace, for answers with further members.
    pub fn write_fields(&self, out: &mut Vec<u8>) {
        write!(out, r#"{{"id":{},"sensor_id":"#, self.id).expect("writing to memory does not fail");
        write_string(&self.sensor_id, out);
        out.extend_from_slice(br#","value":"#);
        serde_json::to_writer(&mut *out, &self.value).expect("a number has a JSON form");
        out.extend_from_slice(br#","timestamp":""#);
        stamp::write(self.timestamp, out);
        out.extend_from_slice(br#"","metadata":"#);
        match self.is_truncated() {
            true => out.extend_from_slice(b"{}"),
            false => write_compact(&self.metadata, out),
        }
        out.extend_from_slice(br#","created_at":""#);
        stamp::write(self.created_at, out);
        out.extend_from_slice(br#"","updated_at":""#);
        stamp::write(self.updated_at, out);
        out.push(b'"');
        if self.is_truncated() {
            out.extend_from_slice(br#","truncated":true"#);
        }
    }

    /// Whether the metadata is too large to be sent. The rest of the reading is always sent.
    pub fn is_truncated(&self) -> bool {
        self.metadata.is_empty() || self.metadata.len() > METADATA_MAX
    }
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a string has a JSON form");
}

/// Appends valid JSON text without the white space between its tokens: jsonb prints some, a device's text may hold more,
/// and it would be sent to every client.
pub fn write_compact(json: &str, out: &mut Vec<u8>) {
    let mut in_string = false;
    let mut escaped = false;
    for byte in json.bytes() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte == b'"' {
            in_string = true;
        } else if byte.is_ascii_whitespace() {
            continue;
        }
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    fn reading(sensor_id: &str, value: f64, metadata: &str) -> Reading {
        Reading {
            id: 7,
            sensor_id: sensor_id.to_owned(),
            value,
            timestamp: datetime!(2026-11-23 08:15:30.25 UTC),
            metadata: metadata.to_owned(),
            created_at: datetime!(2026-11-23 08:15:31 UTC),
            updated_at: datetime!(2026-11-23 08:15:31 UTC),
        }
    }

    fn json(reading: &Reading) -> String {
        let mut out = Vec::new();
        reading.write_json(&mut out);
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    #[test]
    fn the_demo_s_fields_are_in_the_demo_s_order() {
        assert_eq!(
            json(&reading("s-1", 1.0, r#"{"unit": "°C", "n": [1, 2]}"#)),
            r#"{"id":7,"sensor_id":"s-1","value":1.0,"timestamp":"2026-11-23T08:15:30.250000Z","metadata":{"unit":"°C","n":[1,2]},"created_at":"2026-11-23T08:15:31.000000Z","updated_at":"2026-11-23T08:15:31.000000Z"}"#
        );
    }

    #[test]
    fn metadata_that_is_too_large_is_left_out_and_marked() {
        let largest = format!("\"{}\"", "x".repeat(METADATA_MAX - 2));
        assert!(json(&reading("s", 1.0, &largest)).len() > METADATA_MAX);
        for metadata in [String::new(), format!("{largest} ")] {
            let sent: ReadingObject = serde_json::from_str(&json(&reading("s", 1.0, &metadata))).unwrap();
            assert_eq!((sent.id, sent.sensor_id.as_str(), sent.truncated), (7, "s", true));
            assert_eq!(sent.metadata, serde_json::json!({}));
        }
    }

    proptest! {
        #[test]
        fn whatever_is_stored_reads_back(sensor in ".{1,100}", value in prop::num::f64::NORMAL, text in ".*") {
            let metadata = serde_json::to_string_pretty(&serde_json::json!({ "a b": [text, "\\\" "] })).unwrap();
            let parsed: serde_json::Value = serde_json::from_str(&json(&reading(&sensor, value, &metadata))).unwrap();
            prop_assert_eq!(parsed["sensor_id"].as_str(), Some(sensor.as_str()));
            prop_assert_eq!(&parsed["metadata"], &serde_json::from_str::<serde_json::Value>(&metadata).unwrap());
        }
    }
}
