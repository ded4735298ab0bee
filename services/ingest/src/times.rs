//! The time of a reading, as devices write it.

use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use crate::limits::MAX_AHEAD;

/// What a number that counts from 1970 counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
    Minutes,
    Hours,
}

impl Precision {
    /// As `?precision=` names it: `ns`, `us`, `ms` or `s`, and as the first version of InfluxDB did.
    pub(crate) fn parse(name: &str) -> Result<Self, &'static str> {
        match name {
            "ns" | "n" => Ok(Self::Nanoseconds),
            "us" | "u" | "µ" => Ok(Self::Microseconds),
            "ms" => Ok(Self::Milliseconds),
            "s" => Ok(Self::Seconds),
            "m" => Ok(Self::Minutes),
            "h" => Ok(Self::Hours),
            _ => Err("must be ns, us, ms or s"),
        }
    }

    /// By how large a number is. Until the year 5138 seconds are below 10^11, and since 1973 milliseconds are above it;
    /// the same holds a thousand and a million times larger.
    fn of(whole: i64) -> Self {
        match whole.unsigned_abs() {
            0..100_000_000_000 => Self::Seconds,
            100_000_000_000..100_000_000_000_000 => Self::Milliseconds,
            100_000_000_000_000..100_000_000_000_000_000 => Self::Microseconds,
            _ => Self::Nanoseconds,
        }
    }

    const fn nanoseconds(self) -> i128 {
        match self {
            Self::Nanoseconds => 1,
            Self::Microseconds => 1_000,
            Self::Milliseconds => 1_000_000,
            Self::Seconds => 1_000_000_000,
            Self::Minutes => 60 * 1_000_000_000,
            Self::Hours => 3_600 * 1_000_000_000,
        }
    }
}

/// How the times of a request are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// The time of the request.
    pub(crate) now: OffsetDateTime,
    /// What numbers count; none: their size tells.
    pub(crate) precision: Option<Precision>,
}

/// The digits of a fraction that are read: those of a nanosecond in an hour, and more.
const FRACTION_DIGITS: usize = 13;

impl Times {
    /// Text as RFC 3339 has it.
    pub(crate) fn of_text(&self, text: &str) -> Result<OffsetDateTime, String> {
        let at = OffsetDateTime::parse(text.trim(), &Rfc3339).map_err(|_| shape())?;
        self.check(Some(at))
    }

    /// A number as JSON has it, with or without a fraction.
    pub(crate) fn of_number(&self, number: &str) -> Result<OffsetDateTime, String> {
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let is_negative = whole.starts_with('-');
        let fraction = &fraction[..fraction.len().min(FRACTION_DIGITS)];
        let (Ok(count), Ok(part)) = (whole.parse::<i64>(), format!("0{fraction}").parse::<i128>()) else {
            return Err(shape());
        };
        let unit = self.precision.unwrap_or(Precision::of(count)).nanoseconds();
        let part = part * unit / 10_i128.pow(u32::try_from(fraction.len()).map_err(|_| shape())?);
        let nanoseconds = i128::from(count) * unit + if is_negative { -part } else { part };
        self.check(OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok())
    }

    /// A whole number.
    pub(crate) fn of_count(&self, count: i64) -> Result<OffsetDateTime, String> {
        let unit = self.precision.unwrap_or(Precision::of(count)).nanoseconds();
        self.check(OffsetDateTime::from_unix_timestamp_nanos(i128::from(count) * unit).ok())
    }

    /// Postgres has no year 0, nor what a shift to UTC makes of it.
    fn check(&self, at: Option<OffsetDateTime>) -> Result<OffsetDateTime, String> {
        let at = at.and_then(|at| at.checked_to_offset(UtcOffset::UTC));
        let at = at.filter(|at| at.year() >= 1).ok_or_else(shape)?;
        if at > self.now + MAX_AHEAD {
            return Err("is more than 24 hours ahead".to_owned());
        }
        Ok(at)
    }
}

fn shape() -> String {
    "must be an RFC 3339 time such as 2026-11-23T08:15:30.25Z, or a number that counts from 1970".to_owned()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-23 08:00 UTC);

    #[track_caller]
    fn check(number: &str, precision: Option<&str>, expected: Option<OffsetDateTime>) {
        let precision = precision.map(|name| Precision::parse(name).unwrap());
        let read = Times { now: NOW, precision }.of_number(number);
        assert_eq!(read.as_ref().ok(), expected.as_ref(), "{number} {precision:?}: {read:?}");
    }

    #[test]
    fn the_size_of_a_number_tells_what_it_counts() {
        let at = datetime!(2026-11-23 07:30:00.25 UTC);
        for number in ["1795419000.25", "1795419000250", "1795419000250000.0", "1795419000250000000"] {
            check(number, None, Some(at));
        }
        check("99999999999", Some("ms"), Some(datetime!(1973-03-03 09:46:39.999 UTC)));
        check("100000000000", None, Some(datetime!(1973-03-03 09:46:40 UTC)));
        check("0", None, Some(datetime!(1970-01-01 00:00 UTC)));
        check("-1.5", None, Some(datetime!(1969-12-31 23:59:58.5 UTC)));
        check("-0.5", None, Some(datetime!(1969-12-31 23:59:59.5 UTC)));
    }

    #[test]
    fn a_precision_that_is_named_holds_for_every_number() {
        let at = datetime!(2001-09-09 01:46:40 UTC);
        let counts = [("s", 1_000_000_000_i64), ("ms", 1_000), ("us", 1_000_000), ("ns", 1_000_000_000)];
        for (name, unit) in counts {
            let count = if name == "s" { unit } else { unit * 1_000_000_000 };
            check(&count.to_string(), Some(name), Some(at));
            let precision = Some(Precision::parse(name).unwrap());
            assert_eq!(Times { now: NOW, precision }.of_count(count), Ok(at), "{name}");
        }
        check("1", Some("h"), Some(datetime!(1970-01-01 01:00 UTC)));
        check("1", Some("m"), Some(datetime!(1970-01-01 00:01 UTC)));
        check("5000", Some("ms"), Some(datetime!(1970-01-01 00:00:05 UTC)));
        assert!(Precision::parse("minutes").is_err());
    }

    #[test]
    fn what_is_no_time_of_the_table_is_refused() {
        for number in ["", "-", "1e9", "1.5e3", "1.2.3", " 1", "9223372036854775808", "-99999999999"] {
            check(number, None, None);
        }
        check("9223372036854775807", Some("h"), None);
        let ahead = (NOW + MAX_AHEAD).unix_timestamp();
        check(&ahead.to_string(), None, Some(NOW + MAX_AHEAD));
        check(&(ahead + 1).to_string(), None, None);
    }
}
