//! Instants as people and JSON write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auth::UnixMicros;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Reads RFC 3339.
pub(crate) fn parse(text: &str) -> Result<UnixMicros, String> {
    let time = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "write a time such as 2027-01-01T00:00:00Z".to_owned())?;
    // four-digit years fit
    Ok(UnixMicros((time.unix_timestamp_nanos() / 1_000) as i64))
}

/// RFC 3339, without parts of a second that are zero.
pub(crate) fn text(UnixMicros(micros): UnixMicros) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000);
    time.ok().and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| "in the far future".to_owned())
}

/// That long from now on, by this machine's clock.
pub(crate) fn after(span: Duration) -> UnixMicros {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMicros(i64::try_from(now.saturating_add(span).as_micros()).unwrap_or(i64::MAX))
}

/// This instant.
pub(crate) fn now() -> UnixMicros {
    after(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for written in ["2027-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "2027-06-01T12:00:00.5Z"] {
            assert_eq!(text(parse(written).unwrap()), written);
        }
        assert_eq!(parse("2027-01-01T01:00:00+01:00"), parse("2027-01-01T00:00:00Z"));
        assert!(parse("2027-01-01").is_err() && parse("").is_err());
    }
}
