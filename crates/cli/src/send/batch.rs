//! Lines of NDJSON on their way into one request.

use anyhow::{Context, ensure};
use serde_json::value::RawValue;

/// The most readings in one request.
pub(super) const MAX_READINGS: usize = 1_000;

/// A request is closed at this size: with one more line of at most [`LINE_BYTES`] it stays below ingest's 1 MiB.
const FULL_BYTES: usize = 960 << 10;

/// The longest line, which is ingest's limit for one reading.
const LINE_BYTES: usize = 64 << 10;

/// A line that is a JSON object, as far as its shape goes.
#[derive(Debug)]
pub(super) struct Line {
    number: u64,
    text: String,
}

impl Line {
    /// Checks the shape only; ingest validates readings.
    pub(super) fn check(number: u64, text: String) -> anyhow::Result<Self> {
        ensure!(text.len() <= LINE_BYTES, "line {number} is longer than {LINE_BYTES} bytes");
        let json: &RawValue =
            serde_json::from_str(&text).with_context(|| format!("line {number} is not JSON"))?;
        ensure!(json.get().starts_with('{'), "line {number} is not a JSON object");
        Ok(Self { number, text })
    }
}

/// One request's lines.
#[derive(Debug, Default)]
pub(super) struct Batch {
    lines: Vec<Line>,
    bytes: usize,
}

impl Batch {
    pub(super) fn push(&mut self, line: Line) {
        self.bytes += line.text.len() + 1;
        self.lines.push(line);
    }

    pub(super) fn is_full(&self) -> bool {
        self.lines.len() >= MAX_READINGS || self.bytes >= FULL_BYTES
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The request's body.
    pub(super) fn body(&self) -> String {
        let mut body = String::with_capacity(self.bytes + 2);
        body.push('[');
        for (index, line) in self.lines.iter().enumerate() {
            if index > 0 {
                body.push(',');
            }
            body.push_str(line.text.trim());
        }
        body.push(']');
        body
    }

    /// Where in stdin a reading of the request stood.
    pub(super) fn line_number(&self, index: usize) -> Option<u64> {
        self.lines.get(index).map(|line| line.number)
    }

    /// The first and the last line.
    pub(super) fn range(&self) -> String {
        match (self.lines.first(), self.lines.last()) {
            (Some(first), Some(last)) => format!("{} to {}", first.number, last.number),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_an_array_in_order_and_knows_its_lines() {
        let mut batch = Batch::default();
        for number in [3, 5] {
            batch.push(Line::check(number, format!(" {{\"n\":{number}}} ")).unwrap());
        }
        assert_eq!(batch.body(), r#"[{"n":3},{"n":5}]"#);
        assert_eq!(batch.line_number(1), Some(5));
        assert_eq!(batch.range(), "3 to 5");
    }

    #[test]
    fn a_batch_is_full_by_count_or_by_bytes_and_stays_below_the_limit() {
        let mut batch = Batch::default();
        while !batch.is_full() {
            batch.push(Line::check(1, "{}".to_owned()).unwrap());
        }
        assert_eq!(batch.len(), MAX_READINGS);
        let long = format!("{{\"x\":\"{}\"}}", "y".repeat(LINE_BYTES - 8));
        let mut batch = Batch::default();
        while !batch.is_full() {
            batch.push(Line::check(1, long.clone()).unwrap());
        }
        assert!(batch.body().len() <= 1 << 20);
    }

    #[test]
    fn a_line_that_is_no_object_is_named() {
        for text in ["7", "[1]", "{", "x", "{} {}"] {
            let error = Line::check(12, text.to_owned()).unwrap_err();
            assert!(error.to_string().starts_with("line 12 is not"), "{error}");
        }
    }
}
