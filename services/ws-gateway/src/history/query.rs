//! The query of a history request: each parameter checked, every fault named.

use std::time::Duration;

use chassis::{Problem, Query};
use store::history::{ALL_TIME, BucketKey, Order, ReadingKey, Span};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};
use wire::{Filter, split_patterns};

use super::cursor::{Cursor, LatestKey};

/// The parameters of each path; a name that is not among them is refused, since a misspelt `from` would give everything.
pub(crate) const READINGS: &[&str] = &["sensor", "from", "to", "order", "limit", "cursor", "bucket"];
pub(crate) const LATEST: &[&str] = &["sensor", "limit", "cursor"];
pub(crate) const SENSOR: &[&str] = &[];

/// Rows of a page, unless the query says otherwise.
const DEFAULT_LIMIT: usize = 100;

/// The most rows of a page.
pub(crate) const MAX_LIMIT: usize = 1_000;

/// The most patterns in one query.
const MAX_PATTERNS: usize = 100;

/// The longest bucket.
const MAX_BUCKET: Duration = Duration::from_secs(24 * 60 * 60);

/// The most buckets of one sensor in a span.
pub(crate) const MAX_BUCKETS: i128 = 10_000;

/// The longest span of buckets.
const MAX_BUCKET_SPAN: time::Duration = time::Duration::days(366);

/// Which readings, in which order.
#[derive(Debug)]
pub(crate) struct Readings {
    pub(crate) filter: Filter,
    pub(crate) span: Span,
    pub(crate) order: Order,
    pub(crate) limit: usize,
    pub(crate) rows: Rows,
}

/// As they are, or in buckets; behind what.
#[derive(Debug)]
pub(crate) enum Rows {
    Readings(Option<ReadingKey>),
    Buckets(Duration, Option<BucketKey>),
}

/// The newest of which sensors.
#[derive(Debug)]
pub(crate) struct Latest {
    pub(crate) filter: Filter,
    pub(crate) limit: usize,
    pub(crate) after: Option<LatestKey>,
}

impl Readings {
    pub(crate) fn read(query: &str, now: OffsetDateTime) -> Result<Self, Problem> {
        let mut parameters = parameters(query, READINGS);
        let sensors_named = parameters.is_given("sensor");
        let filter = filter(&mut parameters);
        let from = parameters.take("from", parse_instant);
        let to = parameters.take("to", parse_instant);
        let order = parameters.take("order", |text| match text {
            "asc" => Ok(Order::Ascending),
            "desc" => Ok(Order::Descending),
            _ => Err("must be asc or desc"),
        });
        let limit = limit(&mut parameters);
        let bucket = parameters.take("bucket", parse_bucket);
        let rows = match bucket {
            None => Rows::Readings(cursor(&mut parameters)),
            Some(length) => Rows::Buckets(length, cursor(&mut parameters)),
        };
        let ever = if bucket.is_some() { now } else { ALL_TIME.to };
        let span = Span { from: from.unwrap_or(ALL_TIME.from), to: to.unwrap_or(ever).min(ALL_TIME.to) };
        if from.is_some() && to.is_some() && span.from > span.to {
            parameters.fault("to", "must not be before from");
        }
        if let Some(length) = bucket {
            if !sensors_named {
                parameters.fault("sensor", "must be given with bucket");
            }
            if from.is_none() {
                parameters.fault("from", "must be given with bucket");
            } else if span.to - span.from > MAX_BUCKET_SPAN {
                parameters.fault("from", "with bucket, the span is at most 366 days");
            } else if (span.to - span.from).whole_nanoseconds()
                > MAX_BUCKETS * length.as_nanos().cast_signed()
            {
                parameters.fault("bucket", "the span has more than 10000 buckets");
            }
        }
        parameters.end()?;
        Ok(Self { filter, span, order: order.unwrap_or(Order::Descending), limit, rows })
    }
}

impl Latest {
    pub(crate) fn read(query: &str) -> Result<Self, Problem> {
        let mut parameters = parameters(query, LATEST);
        let (filter, limit) = (filter(&mut parameters), limit(&mut parameters));
        let after = cursor(&mut parameters);
        parameters.end()?;
        Ok(Self { filter, limit, after })
    }
}

/// A path that takes no parameters.
pub(crate) fn nothing(query: &str) -> Result<(), Problem> {
    parameters(query, SENSOR).end()
}

fn parameters<'a>(query: &'a str, known: &[&str]) -> Query<'a> {
    Query::parse(query).only(known, &["sensor"])
}

fn filter(query: &mut Query<'_>) -> Filter {
    let patterns: Vec<&str> = query.all("sensor").flat_map(split_patterns).collect();
    let filter = match patterns.len() {
        0 => Ok(Filter::All),
        1..=MAX_PATTERNS => Filter::parse(Some(&patterns)).map_err(|error| error.to_string()),
        _ => Err(format!("at most {MAX_PATTERNS} patterns")),
    };
    filter.unwrap_or_else(|detail| {
        query.fault("sensor", detail);
        Filter::All
    })
}

fn limit(query: &mut Query<'_>) -> usize {
    let limit = query.take("limit", |text| match text.parse::<u64>() {
        Ok(limit @ 1..) => Ok(usize::try_from(limit).unwrap_or(MAX_LIMIT).min(MAX_LIMIT)),
        _ => Err("must be a whole number from 1 to 1000"),
    });
    limit.unwrap_or(DEFAULT_LIMIT)
}

fn cursor<C: Cursor>(query: &mut Query<'_>) -> Option<C> {
    query.take("cursor", |token| C::parse(token).ok_or("invalid for this query"))
}

/// RFC 3339. Readings have whole microseconds: what lies between two of them is the later one, at either end of a span.
fn parse_instant(text: &str) -> Result<OffsetDateTime, String> {
    let at = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "must be a time such as 2026-01-31T08:00:00Z (a + is written %2B)".to_owned())?;
    let at = at.checked_to_offset(UtcOffset::UTC).unwrap_or(ALL_TIME.from);
    let beyond = at.nanosecond() % 1_000;
    let up = if beyond == 0 { 0 } else { 1_000 - i64::from(beyond) };
    Ok(at.saturating_add(time::Duration::nanoseconds(up)).clamp(ALL_TIME.from, ALL_TIME.to))
}

fn parse_bucket(text: &str) -> Result<Duration, String> {
    let fits = |length: &Duration| {
        (Duration::from_secs(1)..=MAX_BUCKET).contains(length) && length.subsec_nanos() == 0
    };
    let length = humantime::parse_duration(text).ok().filter(fits);
    length.ok_or_else(|| "must be whole seconds from 1s to 1d, such as 1m".to_owned())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-06-01 00:00 UTC);

    #[track_caller]
    fn fails(query: &str, faults: &[&str]) {
        let problem = format!("{:?}", Readings::read(query, NOW).unwrap_err());
        for fault in faults {
            assert!(problem.contains(fault), "{query}: {problem}");
        }
    }

    #[test]
    fn every_fault_is_named() {
        fails("form=2026-01-01T00:00:00Z", &["form: unknown parameter"]);
        fails("limit=0&order=up&from=yesterday", &["limit: must", "order: must", "from: must"]);
        fails("limit=1&limit=2", &["limit: is given more than once"]);
        fails("sensor=a*b", &["sensor: a sensor pattern"]);
        fails("sensor=", &["sensor: a sensor pattern"]);
        fails("cursor=abc", &["cursor: invalid"]);
        fails("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", &["to: must not be before from"]);
        fails("from=2026-01-02T00:00:00+01:00", &["%2B"]);
        fails("bucket=1m", &["sensor: must be given", "from: must be given"]);
        fails("bucket=1500ms&bucket=", &["bucket: must be whole seconds", "more than once"]);
        fails("sensor=a&bucket=1s&from=2026-05-31T00:00:00Z", &["bucket: the span has more"]);
        fails("sensor=a&bucket=1d&from=2025-01-01T00:00:00Z", &["at most 366 days"]);
        let many = vec!["a"; MAX_PATTERNS + 1].join(",");
        fails(&format!("sensor={many}"), &["at most 100 patterns"]);
        assert!(nothing("x=1").is_err() && nothing("").is_ok());
    }

    #[test]
    fn a_missing_parameter_has_a_default_and_a_large_one_a_bound() {
        let defaults = Readings::read("", NOW).unwrap();
        assert_eq!(
            (defaults.filter, defaults.span, defaults.order, defaults.limit),
            (Filter::All, ALL_TIME, Order::Descending, 100)
        );
        assert_eq!(Readings::read("limit=99999999999", NOW).unwrap().limit, 1_000);
        let buckets = Readings::read("sensor=a&bucket=1m&from=2026-05-31T23:00:00Z", NOW).unwrap();
        assert_eq!(buckets.span.to, NOW);
        assert!(matches!(buckets.rows, Rows::Buckets(length, None) if length == Duration::from_secs(60)));
        // 10,000 buckets exactly
        assert!(Readings::read("sensor=a&bucket=1s&from=2026-05-31T21:13:20Z", NOW).is_ok());
    }

    #[test]
    fn a_span_between_two_microseconds_begins_and_ends_with_the_later() {
        let read =
            Readings::read("from=2026-01-01T00:00:00.0000001Z&to=2026-01-01T01:00:00.000002%2B01:00", NOW);
        let span = read.unwrap().span;
        assert_eq!(span.from, datetime!(2026-01-01 00:00:00.000001 UTC));
        assert_eq!(span.to, datetime!(2026-01-01 00:00:00.000002 UTC));
        let far =
            Readings::read("from=0000-01-01T00:00:00%2B01:00&to=9999-12-31T23:59:59.9999999Z", NOW).unwrap();
        assert_eq!(far.span, ALL_TIME);
    }
}
