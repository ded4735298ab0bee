//! Instants in messages: RFC 3339, UTC, microseconds, `Z`.

use time::{OffsetDateTime, UtcOffset};

/// Appends `at` as `2026-11-23T08:15:30.000250Z`, always 27 bytes for the years 0 to 9999.
pub fn write(at: OffsetDateTime, out: &mut Vec<u8>) {
    let at = at.to_offset(UtcOffset::UTC);
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second, micro) = at.to_hms_micro();
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    digits(year.unsigned_abs(), &mut text[..4]);
    digits(u8::from(month).into(), &mut text[5..7]);
    digits(day.into(), &mut text[8..10]);
    digits(hour.into(), &mut text[11..13]);
    digits(minute.into(), &mut text[14..16]);
    digits(second.into(), &mut text[17..19]);
    digits(micro, &mut text[20..26]);
    out.extend_from_slice(&text);
}

/// Three of these are in every reading: `format!` would take several times as long.
fn digits(mut number: u32, places: &mut [u8]) {
    for place in places.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
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
