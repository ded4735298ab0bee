//! A set of sensors, and what of a filter lies in it.

use std::slice;

use wire::{Filter, Pattern, filter::BadPattern};

/// The most patterns of one scope.
pub const MAX_PATTERNS: usize = 1_000;

/// The sensors that somebody may write, or read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// In the order of their texts, and none within another: the only one that can contain a sensor is the last whose text
    /// is not greater than its id.
    patterns: Box<[Pattern]>,
}

/// Why a list of patterns is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadScope {
    /// Too many.
    #[error("at most {MAX_PATTERNS} patterns, not {0}")]
    TooMany(usize),
    /// One is not valid.
    #[error("invalid pattern {0:?}")]
    Pattern(String, #[source] BadPattern),
}

impl Scope {
    /// Every sensor.
    pub fn all() -> Self {
        Self { patterns: [Pattern::Prefix(String::new())].into() }
    }

    /// No sensor.
    pub fn none() -> Self {
        Self { patterns: [].into() }
    }

    /// The sensors of any of these patterns (`a`, `acme/*`, `*`).
    ///
    /// # Errors
    /// When a pattern is not valid, or there are more than [`MAX_PATTERNS`].
    pub fn parse<S: AsRef<str>>(texts: &[S]) -> Result<Self, BadScope> {
        if texts.len() > MAX_PATTERNS {
            return Err(BadScope::TooMany(texts.len()));
        }
        let pattern = |text: &S| {
            let text = text.as_ref();
            text.parse().map_err(|error| BadScope::Pattern(text.to_owned(), error))
        };
        let patterns = texts.iter().map(pattern).collect::<Result<_, _>>()?;
        Ok(Self { patterns: disjoint(patterns).into() })
    }

    /// The fewest patterns that mean the same, in their order.
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// Whether it has every sensor.
    pub fn is_all(&self) -> bool {
        matches!(&*self.patterns, [Pattern::Prefix(prefix)] if prefix.is_empty())
    }

    /// Whether it has no sensor.
    pub fn is_none(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether it has this sensor.
    pub fn contains(&self, sensor_id: &str) -> bool {
        match self.last_up_to(sensor_id) {
            Some(Pattern::Exact(id)) => id == sensor_id,
            Some(Pattern::Prefix(prefix)) => sensor_id.starts_with(prefix.as_str()),
            None => false,
        }
    }

    /// What the filter selects of this scope: exactly the sensors that both have. It has at most as many patterns as both
    /// together; none of them is "nothing".
    pub fn narrow(&self, filter: &Filter) -> Filter {
        match filter {
            _ if self.is_all() => filter.clone(),
            Filter::All => Filter::Any(self.patterns.to_vec()),
            Filter::Any(wanted) => {
                let wanted = disjoint(wanted.clone());
                Filter::Any(wanted.iter().flat_map(|pattern| self.part_of(pattern)).cloned().collect())
            }
        }
    }

    /// The patterns of what this scope has of a pattern: itself, or those that lie in it.
    fn part_of<'a>(&'a self, wanted: &'a Pattern) -> &'a [Pattern] {
        let is_within = match self.last_up_to(text(wanted)) {
            Some(Pattern::Prefix(prefix)) => text(wanted).starts_with(prefix.as_str()),
            Some(exact @ Pattern::Exact(_)) => exact == wanted,
            None => false,
        };
        match wanted {
            _ if is_within => slice::from_ref(wanted),
            Pattern::Exact(_) => &[],
            Pattern::Prefix(prefix) => {
                let first = self.patterns.partition_point(|own| text(own) < prefix.as_str());
                let inner = &self.patterns[first..];
                &inner[..inner.partition_point(|own| text(own).starts_with(prefix.as_str()))]
            }
        }
    }

    /// The last pattern whose text is not greater.
    fn last_up_to(&self, most: &str) -> Option<&Pattern> {
        self.patterns[..self.patterns.partition_point(|own| text(own) <= most)].last()
    }
}

/// What stands before the `*`, or the whole id.
fn text(pattern: &Pattern) -> &str {
    let (Pattern::Exact(text) | Pattern::Prefix(text)) = pattern;
    text
}

/// The same sensors by patterns of which none lies within another, in the order of their texts.
fn disjoint(mut patterns: Vec<Pattern>) -> Vec<Pattern> {
    let is_exact = |pattern: &Pattern| matches!(pattern, Pattern::Exact(_));
    patterns.sort_unstable_by(|a, b| (text(a), is_exact(a)).cmp(&(text(b), is_exact(b))));
    // all that a prefix covers follows it without a break
    patterns.dedup_by(|later, kept| match kept {
        Pattern::Prefix(prefix) => text(later).starts_with(prefix.as_str()),
        Pattern::Exact(_) => later == kept,
    });
    patterns
}
