//! What the leader notes with an entry of the stream beside its readings: how many came before, when, and of which traces.
//!
//! Text, so that it can be read with `XRANGE`: the running count of the epoch's readings up to the entry's end (`-` where it is
//! not known), when its readings were committed and when they were appended, in microseconds since 1970 by the clock of
//! Postgres, then for each reading that has a trace its index, `:`, and its `traceparent`, and `span:` with that of the append,
//! where it is recorded. Later releases may add words.

use std::{fmt, str::FromStr};

use crate::trace::TraceParent;

/// Where an entry comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// How many readings the epoch has up to the entry's end. `None` where a leader of a release before counted none.
    pub count: Option<i64>,
    /// When its readings were committed, in microseconds since 1970: an upper bound of their age. That of the oldest.
    pub committed_at: i64,
    /// When the leader sent it to the stream, in microseconds since 1970.
    pub appended_at: i64,
    /// The traces of its readings, by their index in the entry.
    pub traces: Vec<(u32, TraceParent)>,
    /// The span of its append, where that is recorded.
    pub span: Option<TraceParent>,
}

/// The text is not a provenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed provenance of an entry")]
pub struct BadProvenance;

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            Some(count) => write!(f, "{count}")?,
            None => f.write_str("-")?,
        }
        write!(f, " {} {}", self.committed_at, self.appended_at)?;
        self.traces.iter().try_for_each(|(index, trace)| write!(f, " {index}:{trace}"))?;
        self.span.iter().try_for_each(|span| write!(f, " span:{span}"))
    }
}

impl FromStr for Provenance {
    type Err = BadProvenance;

    fn from_str(text: &str) -> Result<Self, BadProvenance> {
        let mut words = text.split(' ');
        let mut next = || words.next().ok_or(BadProvenance);
        let micros = |word: &str| word.parse().map_err(|_| BadProvenance);
        let count = match next()? {
            "-" => None,
            count => Some(micros(count)?),
        };
        let (committed_at, appended_at) = (micros(next()?)?, micros(next()?)?);
        let mut read = Self { count, committed_at, appended_at, ..Self::default() };
        for (whose, trace) in words.filter_map(|word| word.split_once(':')) {
            match (whose.parse(), trace.parse()) {
                (Ok(index), Ok(trace)) => read.traces.push((index, trace)),
                (Err(_), Ok(trace)) if whose == "span" => read.span = Some(trace),
                _ => {}
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    proptest! {
        #[test]
        fn it_reads_back(
            count in prop::option::of(any::<i64>()),
            committed_at in any::<i64>(),
            appended_at in any::<i64>(),
            traced in prop::collection::vec(any::<u32>(), 0..3),
            has_span in any::<bool>(),
        ) {
            let traces = traced.into_iter().map(|index| (index, TRACE.parse().unwrap())).collect();
            let span = has_span.then(|| TRACE.parse().unwrap());
            let provenance = Provenance { count, committed_at, appended_at, traces, span };
            prop_assert_eq!(provenance.to_string().parse(), Ok(provenance));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            let _ = text.parse::<Provenance>();
        }
    }

    #[test]
    fn words_of_later_releases_are_passed_over() {
        let later = format!("5 1 2 x=1 0:{TRACE} 1:bad");
        let read: Provenance = later.parse().unwrap();
        assert_eq!((read.count, read.traces.len()), (Some(5), 1));
        for bad in ["", "5", "5 1", "x 1 2", "- 1 "] {
            assert_eq!(bad.parse::<Provenance>(), Err(BadProvenance), "{bad}");
        }
    }
}
