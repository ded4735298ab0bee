//! The query of a live request: one subscription, the same for sockets, event streams and pulls.

use chassis::Problem;
use http::StatusCode;
use wire::{ErrorCode, Filter, Refusal, Start, Subscribe, split_patterns};

/// A parsed query.
#[derive(Debug, Default)]
pub(crate) struct Query {
    /// `v`, whatever its value.
    pub(crate) version: Option<String>,
    /// `sensor`, `from`, `last`, `mode` and `max_rate`.
    pub(crate) subscribe: Subscribe,
    /// Whether there was any of them.
    pub(crate) subscribes: bool,
}

impl Query {
    /// Reads a query. Unknown parameters are ignored: other readers may know them.
    pub(crate) fn parse(query: &str) -> Result<Self, Problem> {
        let mut parsed = Self::default();
        let subscribe = &mut parsed.subscribe;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = value.as_ref();
            match name.as_ref() {
                "v" => {
                    parsed.version = Some(value.to_owned());
                    continue;
                }
                "sensor" => {
                    let sensors = subscribe.sensors.get_or_insert_default();
                    sensors.extend(split_patterns(value).into_iter().map(str::to_owned));
                }
                "from" => subscribe.from = value.parse().map_err(|refusal| bad("from", &refusal))?,
                "last" => subscribe.from = Start::last(value).map_err(|refusal| bad("last", &refusal))?,
                "mode" => subscribe.mode = value.parse().map_err(|refusal| bad("mode", &refusal))?,
                "max_rate" => {
                    let rate = Subscribe::rate(value.parse().unwrap_or(f64::NAN));
                    subscribe.max_rate = Some(rate.map_err(|refusal| bad("max_rate", &refusal))?);
                }
                _ => continue,
            }
            parsed.subscribes = true;
        }
        Ok(parsed)
    }

    /// The sensors that it names, checked; so many patterns at most.
    pub(crate) fn filter(&self, most: usize) -> Result<Filter, Problem> {
        if self.subscribe.sensors.as_ref().is_some_and(|sensors| sensors.len() > most) {
            return Err(bad_query(&format!("sensor: at most {most} patterns")));
        }
        Filter::parse(self.subscribe.sensors.as_deref())
            .map_err(|error| bad_query(&format!("sensor: {error}")))
    }
}

fn bad(name: &str, refusal: &Refusal) -> Problem {
    let detail = format!("{name}: {}", refusal.message);
    match refusal.code {
        ErrorCode::BadPosition => bad_position(detail),
        _ => bad_query(&detail),
    }
}

/// A position that is none, or that does not exist yet: the same code as over a socket.
pub(crate) fn bad_position(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, ErrorCode::BadPosition.word(), detail)
}

/// A query that cannot be answered as it is.
pub(crate) fn bad_query(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad-query", detail)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wire::Mode;

    use super::*;

    #[test]
    fn a_query_is_a_subscription() {
        let query = Query::parse("v=1&sensor=a,b*&sensor=c&from=latest&mode=latest&max_rate=5&x=1").unwrap();
        let expected = Subscribe {
            sensors: Some(vec!["a".to_owned(), "b*".to_owned(), "c".to_owned()]),
            from: Start::Latest,
            mode: Mode::Latest,
            max_rate: Some(5.0),
        };
        assert_eq!((query.version.as_deref(), query.subscribe), (Some("1"), expected));
        assert_eq!(Query::parse("last=15m").unwrap().subscribe.from, Start::Last(Duration::from_secs(900)));
        assert!(!Query::parse("token=x&v=1").unwrap().subscribes);
    }

    #[test]
    fn invalid_parameters_are_refused() {
        for query in ["from=yesterday", "last=x", "mode=some", "max_rate=0", "max_rate=x"] {
            assert!(Query::parse(query).is_err(), "{query}");
        }
        assert!(Query::parse("sensor=a,b,c").unwrap().filter(2).is_err());
        assert!(Query::parse("sensor=a*b").unwrap().filter(9).is_err());
    }
}
