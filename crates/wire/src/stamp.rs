//! Instants as the wire writes them: RFC 3339, UTC, microseconds, `Z`.

use std::io::Write;

use time::{OffsetDateTime, UtcOffset};

/// Appends `at` as `2026-11-23T08:15:30.000250Z`, always 27 bytes for the years 0 to 9999.
pub fn write(at: OffsetDateTime, out: &mut Vec<u8>) {
    let at = at.to_offset(UtcOffset::UTC);
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second, micro) = at.to_hms_micro();
    let month = u8::from(month);
    write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micro:06}Z")
        .expect("writing to memory does not fail");
}

/// `at` as text.
pub fn text(at: OffsetDateTime) -> String {
    let mut out = Vec::with_capacity(27);
    write(at, &mut out);
    String::from_utf8(out).expect("digits and punctuation are UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn any_offset_is_written_in_utc_with_six_digits() {
        assert_eq!(text(datetime!(2026-11-23 10:15:30.00025 +2)), "2026-11-23T08:15:30.000250Z");
        assert_eq!(text(datetime!(2026-01-02 03:04:05 UTC)), "2026-01-02T03:04:05.000000Z");
    }
}
