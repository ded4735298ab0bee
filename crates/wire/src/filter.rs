//! Which sensors a subscription selects.

use std::{
    fmt::{self, Write},
    str::FromStr,
};

use crate::reading::SENSOR_ID_MAX;

/// One sensor, or all whose id has a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// `a`
    Exact(String),
    /// `b*`
    Prefix(String),
}

/// A pattern that no sensor id could match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a sensor pattern has 1 to {SENSOR_ID_MAX} characters, a `*` only at its end (`\\*` is the character), no control \
     character"
)]
pub struct BadPattern;

impl FromStr for Pattern {
    type Err = BadPattern;

    /// `\*`, `\,` and `\\` mean the character itself; a `\` before any other is a literal backslash.
    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let (mut body, mut prefix) = (String::with_capacity(text.len()), false);
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                _ if prefix || c.is_control() => return Err(BadPattern),
                '*' => prefix = true,
                '\\' => body.push(rest.next_if(|next| ESCAPED.contains(next)).unwrap_or(c)),
                c => body.push(c),
            }
        }
        let length = body.chars().count();
        if length > SENSOR_ID_MAX || (length == 0 && !prefix) {
            return Err(BadPattern);
        }
        Ok(if prefix { Self::Prefix(body) } else { Self::Exact(body) })
    }
}

/// Characters with a special meaning in a pattern or in a list of them.
const ESCAPED: [char; 3] = ['*', ',', '\\'];

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Exact(body) | Self::Prefix(body)) = self;
        for c in body.chars() {
            if ESCAPED.contains(&c) {
                f.write_char('\\')?;
            }
            f.write_char(c)?;
        }
        if matches!(self, Self::Prefix(_)) { f.write_char('*') } else { Ok(()) }
    }
}

/// The patterns of a list, as in a query: a comma ends one, unless a `\` precedes it.
pub fn split_patterns(list: &str) -> Vec<&str> {
    let (mut patterns, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in list.char_indices() {
        if c == ',' && !escaped {
            patterns.push(&list[start..at]);
            start = at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    patterns.push(&list[start..]);
    patterns
}

/// Any of its patterns, or everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Filter {
    /// Every sensor.
    All,
    /// The sensors that match one of these; without any, nothing: what is left of a filter for those who may read none of it.
    Any(Vec<Pattern>),
}

impl Filter {
    /// From a client's list; absent means everything, an empty list is refused.
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

    /// Whether the filter selects this sensor.
    pub fn matches(&self, sensor_id: &str) -> bool {
        self.matches_bytes(sensor_id.as_bytes())
    }

    /// The same of an id whose bytes are known to be UTF-8.
    pub(crate) fn matches_bytes(&self, sensor_id: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Any(patterns) => patterns.iter().any(|pattern| match pattern {
                Pattern::Exact(id) => id.as_bytes() == sensor_id,
                Pattern::Prefix(prefix) => sensor_id.starts_with(prefix.as_bytes()),
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
    fn exact_prefix_and_all_match_their_sensors() {
        check(&["a", "b*"], "a", true);
        check(&["a", "b*"], "ab", false);
        check(&["a", "b*"], "b", true);
        check(&["a", "b*"], "b-7", true);
        check(&["*"], "anything", true);
        assert!(Filter::parse::<&str>(None).unwrap().matches("x"));
    }

    #[test]
    fn a_filter_without_patterns_matches_nothing_and_no_client_can_ask_for_it() {
        for sensor in ["a", "", "*"] {
            assert!(!Filter::Any(Vec::new()).matches(sensor), "{sensor}");
        }
        assert_eq!(Filter::parse::<&str>(Some(&[])), Err(BadPattern));
    }

    #[test]
    fn every_id_has_a_pattern_that_means_it_alone_also_in_a_list() {
        for id in ["a,b", "a*", "*", "a\\", "\\*", "\\\\", "a\\,b", "\\n", ",", "a*b,c\\"] {
            let pattern = Pattern::Exact(id.to_owned());
            let text = pattern.to_string();
            assert_eq!(text.parse(), Ok(pattern.clone()), "{text}");
            let list = format!("x,{text},y*");
            assert_eq!(split_patterns(&list), ["x", text.as_str(), "y*"], "{list}");
            let prefix = Pattern::Prefix(id.to_owned());
            assert_eq!(prefix.to_string().parse(), Ok(prefix), "{text}");
        }
        assert_eq!("C:\\temp".parse(), Ok(Pattern::Exact("C:\\temp".to_owned())));
    }

    #[test]
    fn patterns_that_no_sensor_could_match_are_refused() {
        let long = "x".repeat(SENSOR_ID_MAX + 1);
        for bad in [&["a*b"][..], &[""], &["a\u{0}"], &["**"], &[long.as_str()], &[]] {
            assert_eq!(Filter::parse(Some(bad)), Err(BadPattern), "{bad:?}");
        }
    }
}
