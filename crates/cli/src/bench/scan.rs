//! Finds the readings' ids in a frame without parsing its JSON.

use memchr::memmem::Finder;
use wire::Position;

const READING: &[u8] = br#""data":{"id":"#;
const METADATA: &[u8] = br#","metadata":"#;

/// A frame's events, as the wire writes them: no white space, `id` first, `metadata` the only nested value.
///
/// Inside a JSON string every quote is escaped, so neither pattern can occur in one; inside `metadata` they can, so
/// its value is stepped over.
#[derive(Debug)]
pub(super) struct IdScanner {
    reading: Finder<'static>,
    metadata: Finder<'static>,
}

impl IdScanner {
    pub(super) fn new() -> Self {
        Self { reading: Finder::new(READING), metadata: Finder::new(METADATA) }
    }

    /// Appends the id of each reading of the frame, in order; gives the last one's position, if it has one.
    pub(super) fn scan(&self, frame: &[u8], ids: &mut Vec<i64>) -> Option<Position> {
        let (mut at, mut last) = (0, None);
        while let Some(found) = self.reading.find(&frame[at..]) {
            last = Some(at + found);
            at += found + READING.len();
            ids.push(number(&frame[at..]));
            let Some(found) = self.metadata.find(&frame[at..]) else { break };
            at += found + METADATA.len();
            at += value_len(&frame[at..]);
        }
        position(&frame[..last?])
    }
}

/// The position at the end of what precedes a reading: `…"pos":"1.2.3",`
fn position(before: &[u8]) -> Option<Position> {
    let token = before.strip_suffix(b"\",")?;
    let token = &token[memchr::memrchr(b'"', token)? + 1..];
    std::str::from_utf8(token).ok()?.parse().ok()
}

/// The digits at the beginning; ids of a sequence are positive.
pub(super) fn number(text: &[u8]) -> i64 {
    text.iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0_i64, |number, byte| number.wrapping_mul(10).wrapping_add(i64::from(byte - b'0')))
}

/// The length of the JSON value at the beginning.
fn value_len(text: &[u8]) -> usize {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.iter().enumerate() {
        if in_string {
            in_string = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return at + depth,
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Epoch, Reading, Tick, frame::write_event_head, frame::write_event_tail};

    fn event(id: i64, sensor_id: &str, metadata: &str) -> Vec<u8> {
        let at = time::OffsetDateTime::UNIX_EPOCH;
        let reading = Reading {
            id,
            sensor_id: sensor_id.to_owned(),
            value: 1.5,
            timestamp: at,
            metadata: metadata.to_owned(),
            created_at: at,
            updated_at: at,
        };
        let (mut data, mut out) = (Vec::new(), Vec::new());
        reading.write_json(&mut data);
        write_event_head(1, &mut out);
        write_event_tail(Position::new(Epoch(1), Tick(2), id), &data, &mut out);
        out
    }

    #[track_caller]
    fn check(frame: &[u8], expected: &[i64]) {
        let mut ids = Vec::new();
        IdScanner::new().scan(frame, &mut ids);
        assert_eq!(ids, expected, "{}", String::from_utf8_lossy(frame));
    }

    #[test]
    fn the_last_reading_s_position_is_found() {
        let last = |frame: &[u8]| IdScanner::new().scan(frame, &mut Vec::new());
        let tricky = event(8, r#"","pos":"3.3.3","#, r#"{"pos":"4.4.4"}"#);
        let array = [&b"["[..], &event(7, "s", "{}"), b",", &tricky, b"]"].concat();
        assert_eq!(last(&array), Some(Position::new(Epoch(1), Tick(2), 8)));
        assert_eq!(last(br#"{"sub":1,"snap":true,"data":{"id":3,"metadata":{}}}"#), None);
        assert_eq!(last(br#"{"sub":1,"mark":{"pos":"1.6","n":3}}"#), None);
    }

    #[test]
    fn one_event_and_an_array_of_them_give_their_ids() {
        check(&event(7, "s", "{}"), &[7]);
        let array =
            [&b"["[..], &event(7, "s", "{}"), b",", &event(9_007_199_254_740_993, "t", "{}"), b"]"].concat();
        check(&array, &[7, 9_007_199_254_740_993]);
        check(br#"{"data":{"id":12,"sensor_id":"s","value":1.0,"metadata":{}}}"#, &[12]);
    }

    #[test]
    fn metadata_that_looks_like_an_event_does_not_confuse() {
        for metadata in [
            r#"{"id":1}"#,
            r#"{"data":{"id":1}}"#,
            r#"{"x":[{"sub":1,"pos":"1.2","data":{"id":5,"metadata":{"data":{"id":6}}}}]}"#,
            r#"{"text":"\"data\":{\"id\":1 \\\" } ] \\"}"#,
            r#"{"a":"}","b":"{{[["}"#,
            r#"[1,{"data":{"id":1}},"x"]"#,
            r#""\"data\":{\"id\":1""#,
            "7",
            "null",
        ] {
            let array = [&b"["[..], &event(7, "s", metadata), b",", &event(8, "s", metadata), b"]"].concat();
            check(&array, &[7, 8]);
        }
    }

    #[test]
    fn a_sensor_s_name_that_looks_like_an_event_does_not_confuse() {
        let name = r#"","metadata":{},"data":{"id":1,"#;
        let array = [&b"["[..], &event(7, name, "{}"), b",", &event(8, name, "{}"), b"]"].concat();
        check(&array, &[7, 8]);
    }

    #[test]
    fn what_is_no_event_gives_none() {
        check(br#"{"sub":1,"mark":{"pos":"1.2","n":3}}"#, &[]);
        check(br#"{"id":1,"ok":{"sub":1,"pos":"1.2"}}"#, &[]);
        check(b"", &[]);
    }
}
