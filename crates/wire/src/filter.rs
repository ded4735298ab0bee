//! Which sensors a subscription wants.

use std::{fmt, str::FromStr};

use crate::SENSOR_ID_MAX;

/// One sensor, or all whose id begins so.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// `a`
    Exact(String),
    /// `b*`
    Prefix(String),
}

/// A pattern that no sensor id could match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a sensor pattern has 1 to {SENSOR_ID_MAX} characters, a `*` only at its end, no control character")]
pub struct BadPattern;

impl FromStr for Pattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let (body, prefix) = text.strip_suffix('*').map_or((text, false), |body| (body, true));
        let length = body.chars().count();
        let fits = length <= SENSOR_ID_MAX && (prefix || length > 0);
        if !fits || body.contains('*') || body.chars().any(char::is_control) {
            return Err(BadPattern);
        }
        Ok(if prefix { Self::Prefix(body.to_owned()) } else { Self::Exact(body.to_owned()) })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(id) => f.write_str(id),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

/// Any of its patterns, or everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Filter {
    /// Every sensor.
    All,
    /// The sensors that match one of these; never empty.
    Any(Vec<Pattern>),
}

impl Filter {
    /// From what a client sent; absent is everything, an empty list is refused.
    pub fn parse<S: AsRef<str>>(sensors: Option<&[S]>) -> Result<Self, BadPattern> {
        let Some(sensors) = sensors else { return Ok(Self::All) };
        let patterns =
            sensors.iter().map(|text| text.as_ref().parse()).collect::<Result<Vec<Pattern>, _>>()?;
        match patterns.as_slice() {
            [] => Err(BadPattern),
            some if some.contains(&Pattern::Prefix(String::new())) => Ok(Self::All),
            _ => Ok(Self::Any(patterns)),
        }
    }

    /// Whether a reading of this sensor is wanted.
    pub fn matches(&self, sensor_id: &str) -> bool {
        match self {
            Self::All => true,
            Self::Any(patterns) => patterns.iter().any(|pattern| match pattern {
                Pattern::Exact(id) => id == sensor_id,
                Pattern::Prefix(prefix) => sensor_id.starts_with(prefix.as_str()),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sensors: &[&str], sensor: &str, wanted: bool) {
        assert_eq!(Filter::parse(Some(sensors)).unwrap().matches(sensor), wanted, "{sensors:?} {sensor}");
    }

    #[test]
    fn exact_prefix_and_all_match_what_they_say() {
        check(&["a", "b*"], "a", true);
        check(&["a", "b*"], "ab", false);
        check(&["a", "b*"], "b", true);
        check(&["a", "b*"], "b-7", true);
        check(&["*"], "anything", true);
        assert!(Filter::parse::<&str>(None).unwrap().matches("x"));
    }

    #[test]
    fn patterns_that_no_sensor_could_match_are_refused() {
        let long = "x".repeat(SENSOR_ID_MAX + 1);
        for bad in [&["a*b"][..], &[""], &["a\u{0}"], &["**"], &[long.as_str()], &[]] {
            assert_eq!(Filter::parse(Some(bad)), Err(BadPattern), "{bad:?}");
        }
    }
}
