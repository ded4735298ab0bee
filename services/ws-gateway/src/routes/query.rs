//! The query of a live request: one subscription, the same for sockets, event streams and pulls.

use chassis::{Problem, Query, QueryFault};
use http::StatusCode;
use wire::{ErrorCode, Filter, Refusal, Start, Subscribe, split_patterns};

/// The parameters that ask for a subscription.
const QUERY: [&str; 6] = ["sensor", "from", "last", "mode", "max_rate", "trace"];

/// What a live request asks for.
#[derive(Debug, Default)]
pub(crate) struct LiveQuery {
    /// `v`, whatever its value.
    pub(crate) version: Option<String>,
    /// `sensor`, `from`, `last`, `mode`, `max_rate` and `trace`.
    pub(crate) subscribe: Subscribe,
    /// Whether there was any of them.
    pub(crate) subscribes: bool,
}

impl LiveQuery {
    /// Parses a query. Unknown parameters are ignored, as they may be an old client's.
    pub(crate) fn parse(query: &str) -> Result<Self, Problem> {
        let mut parameters = Query::parse(query);
        let parsed = Self::read(&mut parameters);
        parameters.end().map(|()| parsed)
    }

    /// Takes its parameters of a query.
    pub(crate) fn read(parameters: &mut Query<'_>) -> Self {
        let from = parameters.take("from", |text| text.parse::<Start>().map_err(fault));
        let last = parameters.take("last", |text| Start::last(text).map_err(fault));
        let start = match parameters.last_of(&["from", "last"]) {
            Some("last") => last,
            _ => from,
        };
        let mode = parameters.take("mode", |text| text.parse().map_err(fault));
        let max_rate = parameters
            .take("max_rate", |text| Subscribe::rate(text.parse().unwrap_or(f64::NAN)).map_err(fault));
        let trace = parameters.take("trace", |text| Subscribe::trace(text).map_err(fault));
        let sensors = parameters.all("sensor").flat_map(split_patterns).map(str::to_owned).collect();
        Self {
            version: parameters.all("v").last().map(str::to_owned),
            subscribe: Subscribe {
                sensors: parameters.is_given("sensor").then_some(sensors),
                from: start.unwrap_or_default(),
                mode: mode.unwrap_or_default(),
                max_rate,
                trace: trace.unwrap_or_default(),
            },
            subscribes: parameters.last_of(&QUERY).is_some(),
        }
    }

    /// The sensors that it names, checked; so many patterns at most.
    pub(crate) fn filter(&self, most: usize, parameters: &mut Query<'_>) -> Filter {
        let sensors = self.subscribe.sensors.as_deref();
        let filter = if sensors.is_some_and(|sensors| sensors.len() > most) {
            Err(format!("at most {most} patterns"))
        } else {
            Filter::parse(sensors).map_err(|error| error.to_string())
        };
        filter.unwrap_or_else(|detail| {
            parameters.fault("sensor", detail);
            Filter::All
        })
    }
}

fn fault(refusal: Refusal) -> QueryFault {
    match refusal.code {
        ErrorCode::BadPosition => invalid_position(refusal.message),
        _ => refusal.message.into(),
    }
}

/// A position that is invalid: the same code as over a socket.
pub(super) fn invalid_position(detail: impl Into<String>) -> QueryFault {
    QueryFault::with_code(ErrorCode::BadPosition.word(), detail)
}

/// A position that does not exist yet.
pub(super) fn position_ahead() -> Problem {
    let detail = "the log does not reach this position yet";
    Problem::new(StatusCode::BAD_REQUEST, ErrorCode::BadPosition.word(), detail)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wire::Mode;

    use super::*;

    #[test]
    fn a_query_is_a_subscription() {
        let query =
            LiveQuery::parse("v=1&sensor=a,b*&sensor=c&from=latest&mode=latest&max_rate=5&trace=true&x=1")
                .unwrap();
        let expected = Subscribe {
            sensors: Some(vec!["a".to_owned(), "b*".to_owned(), "c".to_owned()]),
            from: Start::Latest,
            mode: Mode::Latest,
            max_rate: Some(5.0),
            trace: true,
        };
        assert_eq!((query.version.as_deref(), query.subscribe), (Some("1"), expected));
        assert_eq!(
            LiveQuery::parse("last=15m").unwrap().subscribe.from,
            Start::Last(Duration::from_secs(900))
        );
        assert!(!LiveQuery::parse("token=x&v=1").unwrap().subscribes);
    }

    #[test]
    fn invalid_parameters_are_refused() {
        for query in ["from=yesterday", "last=x", "mode=some", "max_rate=0", "max_rate=x", "trace=1"] {
            assert!(LiveQuery::parse(query).is_err(), "{query}");
        }
        for (query, most) in [("sensor=a,b,c", 2), ("sensor=a*b", 9)] {
            let mut parameters = Query::parse(query);
            LiveQuery::read(&mut parameters).filter(most, &mut parameters);
            assert!(parameters.end().is_err(), "{query}");
        }
    }
}
