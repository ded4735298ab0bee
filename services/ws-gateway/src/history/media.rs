//! The media types of an answer, and which of them a client accepts (RFC 9110 §12.5.1).

use chassis::Problem;
use http::{HeaderMap, StatusCode, header};
use serde_json::json;
use store::history::Bucket;
use wire::{Reading, reading::write_compact, stamp};

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    Csv,
    Lines,
}

impl Media {
    const ALL: [Self; 3] = [Self::Json, Self::Lines, Self::Csv];

    /// The one with the highest quality value, the first of equals.
    pub(crate) fn accepted(headers: &HeaderMap) -> Result<Self, Problem> {
        let ranges: Vec<&str> = headers
            .get_all(header::ACCEPT)
            .into_iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter(|range| !range.trim().is_empty())
            .collect();
        if ranges.is_empty() {
            return Ok(Self::Json);
        }
        let mut best = (0.0, None);
        for media in Self::ALL {
            let quality = media.quality(&ranges);
            if quality > best.0 {
                best = (quality, Some(media));
            }
        }
        best.1.ok_or_else(|| {
            let detail = "supported: application/json, application/x-ndjson and text/csv";
            Problem::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", detail)
        })
    }

    /// Its quality value: that of the most specific range that matches it.
    fn quality(self, ranges: &[&str]) -> f32 {
        let (name, group) = match self {
            Self::Json => ("application/json", "application/*"),
            Self::Csv => ("text/csv", "text/*"),
            Self::Lines => ("application/x-ndjson", "application/*"),
        };
        let held = ranges.iter().filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let own = parts.next()?.to_ascii_lowercase();
            let exact = match own.as_str() {
                own if own == name => 2,
                own if own == group => 1,
                "*/*" => 0,
                _ => return None,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
            Some((exact, quality.map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0).clamp(0.0, 1.0))))
        });
        held.max_by_key(|(exact, _)| *exact).map_or(0.0, |(_, quality)| quality)
    }

    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Lines => "application/x-ndjson",
        }
    }
}

/// A row of an answer.
pub(crate) trait Row {
    /// The name of a list of them in JSON.
    const LIST: &'static str;
    /// The columns of CSV.
    const COLUMNS: &'static str;
    fn write_json(&self, out: &mut Vec<u8>);
    fn write_csv(&self, out: &mut Vec<u8>);
}

impl Row for Reading {
    const LIST: &'static str = "readings";
    const COLUMNS: &'static str = "id,sensor_id,value,timestamp,metadata,created_at,updated_at";

    fn write_json(&self, out: &mut Vec<u8>) {
        Reading::write_json(self, out);
    }

    fn write_csv(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.id.to_string().as_bytes());
        out.push(b',');
        write_quoted(self.sensor_id.as_bytes(), out);
        out.extend_from_slice(format!(",{}", json!(self.value)).as_bytes());
        out.push(b',');
        stamp::write(self.timestamp, out);
        out.push(b',');
        let mut metadata = Vec::with_capacity(self.metadata.len());
        write_compact(&self.metadata, &mut metadata);
        write_quoted(&metadata, out);
        out.push(b',');
        stamp::write(self.created_at, out);
        out.push(b',');
        stamp::write(self.updated_at, out);
    }
}

impl Row for Bucket {
    const LIST: &'static str = "buckets";
    const COLUMNS: &'static str = "sensor_id,bucket,count,min,max,avg";

    fn write_json(&self, out: &mut Vec<u8>) {
        let Self { sensor_id, bucket, count, min, max, avg } = self;
        let (sensor_id, bucket) = (json!(sensor_id), stamp::text(*bucket));
        let (min, max, avg) = (json!(min), json!(max), json!(avg));
        let row = format!(
            r#"{{"sensor_id":{sensor_id},"bucket":"{bucket}","count":{count},"min":{min},"max":{max},"avg":{avg}}}"#
        );
        out.extend_from_slice(row.as_bytes());
    }

    fn write_csv(&self, out: &mut Vec<u8>) {
        let Self { sensor_id, bucket, count, min, max, avg } = self;
        write_quoted(sensor_id.as_bytes(), out);
        let (bucket, min, max, avg) = (stamp::text(*bucket), json!(min), json!(max), json!(avg));
        out.extend_from_slice(format!(",{bucket},{count},{min},{max},{avg}").as_bytes());
    }
}

/// A field of CSV (RFC 4180 §2): in quotes where it must be.
fn write_quoted(field: &[u8], out: &mut Vec<u8>) {
    if !field.iter().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n')) {
        out.extend_from_slice(field);
        return;
    }
    out.push(b'"');
    for byte in field {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accept: &[&str], expected: Option<Media>) {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        assert_eq!(Media::accepted(&headers).ok(), expected, "{accept:?}");
    }

    #[test]
    fn the_most_acceptable_media_type_is_given() {
        check(&[], Some(Media::Json));
        check(&["*/*"], Some(Media::Json));
        check(&["text/html,application/xhtml+xml,*/*;q=0.8"], Some(Media::Json));
        check(&["text/csv"], Some(Media::Csv));
        check(&["TEXT/CSV; charset=utf-8"], Some(Media::Csv));
        check(&["application/x-ndjson"], Some(Media::Lines));
        check(&["application/json;q=0.5, text/csv"], Some(Media::Csv));
        check(&["application/json;q=0.5", "text/csv;q=0.4"], Some(Media::Json));
        check(&["*/*;q=0.1, application/json;q=0"], Some(Media::Lines));
        check(&["text/*"], Some(Media::Csv));
        check(&["text/html"], None);
        check(&["application/json;q=0"], None);
    }

    #[test]
    fn a_field_is_quoted_where_it_must_be() {
        let quoted = |text: &str| {
            let mut out = Vec::new();
            write_quoted(text.as_bytes(), &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(quoted("kitchen 1"), "kitchen 1");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted(r#"say "x""#), r#""say ""x""""#);
        assert_eq!(quoted("a\nb"), "\"a\nb\"");
    }
}
