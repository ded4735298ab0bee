//! Cursors: where a page ended, as a token that clients hand back unread.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use store::history::{BucketKey, ReadingKey};
use time::OffsetDateTime;
use wire::Position;

/// What a page may end with, and how that is a token.
pub(crate) trait Cursor: Sized {
    /// The first word of a token: a cursor of one list is invalid in another.
    const KIND: &'static str;
    /// The rest of the token.
    fn write(&self) -> String;
    /// The same, read; none if it is not what was written.
    fn read(text: &str) -> Option<Self>;

    /// The token.
    fn token(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(format!("{} {}", Self::KIND, self.write()))
    }

    /// From a token.
    fn parse(token: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        Self::read(text.strip_prefix(Self::KIND)?.strip_prefix(' ')?)
    }
}

/// Where a page of the newest readings ended, and as of which position it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LatestKey {
    pub(crate) at: Position,
    pub(crate) sensor_id: String,
}

impl Cursor for ReadingKey {
    const KIND: &'static str = "reading";

    fn write(&self) -> String {
        format!("{} {}", micros(self.timestamp), self.id)
    }

    fn read(text: &str) -> Option<Self> {
        let (at, id) = text.split_once(' ')?;
        Some(Self { timestamp: instant(at)?, id: id.parse().ok()? })
    }
}

impl Cursor for BucketKey {
    const KIND: &'static str = "bucket";

    fn write(&self) -> String {
        format!("{} {}", micros(self.bucket), self.sensor_id)
    }

    fn read(text: &str) -> Option<Self> {
        let (at, sensor_id) = text.split_once(' ')?;
        Some(Self { bucket: instant(at)?, sensor_id: sensor(sensor_id)? })
    }
}

impl Cursor for LatestKey {
    const KIND: &'static str = "latest";

    fn write(&self) -> String {
        format!("{} {}", self.at, self.sensor_id)
    }

    fn read(text: &str) -> Option<Self> {
        let (at, sensor_id) = text.split_once(' ')?;
        Some(Self { at: at.parse().ok()?, sensor_id: sensor(sensor_id)? })
    }
}

fn micros(at: OffsetDateTime) -> i128 {
    at.unix_timestamp_nanos() / 1_000
}

/// One that a reading may have.
fn instant(micros: &str) -> Option<OffsetDateTime> {
    let nanos = micros.parse::<i128>().ok()?.checked_mul(1_000)?;
    let at = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?;
    let ever = store::history::ALL_TIME;
    // the first bucket of a length may begin before the first reading can
    (at >= ever.from - time::Duration::DAY && at < ever.to).then_some(at)
}

/// Postgres' text holds no NUL.
fn sensor(id: &str) -> Option<String> {
    (!id.contains('\0')).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use wire::{Epoch, Tick};

    use super::*;

    #[test]
    fn a_token_reads_back_as_what_it_was_and_as_nothing_else() {
        let place = ReadingKey { timestamp: datetime!(2026-01-01 00:00:00.000001 UTC), id: 7 };
        assert_eq!(ReadingKey::parse(&place.token()), Some(place));
        let bucket = BucketKey { bucket: datetime!(1969-12-31 23:59 UTC), sensor_id: "a b ü".to_owned() };
        assert_eq!(BucketKey::parse(&bucket.token()), Some(bucket.clone()));
        let at = Position::after_tick(Epoch(1), Tick(2));
        let latest = LatestKey { at, sensor_id: "a b".to_owned() };
        assert_eq!(LatestKey::parse(&latest.token()), Some(latest));
        assert_eq!(ReadingKey::parse(&bucket.token()), None);
        assert_eq!(BucketKey::parse(&place.token()), None);
    }

    #[test]
    fn what_was_not_written_here_is_no_cursor() {
        let token = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        for text in [
            "",
            "reading",
            "reading ",
            "reading 1",
            "reading x 1",
            "reading 1 x",
            "reading 1 99999999999999999999",
        ] {
            assert_eq!(ReadingKey::parse(&token(text)), None, "{text}");
        }
        for beyond in [datetime!(9999-12-31 12:00 UTC), datetime!(0000-12-30 23:59 UTC)] {
            let place = ReadingKey { timestamp: beyond, id: 1 };
            assert_eq!(ReadingKey::parse(&place.token()), None, "no reading has the time {beyond}");
        }
        assert_eq!(BucketKey::parse(&token("bucket 1 a\0")), None);
        for text in ["%", "=", "reading 1 2", "AAAA", "_w"] {
            assert_eq!(ReadingKey::parse(text), None, "{text}");
        }
    }
}
