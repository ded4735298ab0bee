//! The query of a URL: its parameters one by one, and everything that is wrong with them at once.

use std::borrow::Cow;
use std::collections::BTreeSet;

use http::StatusCode;
use serde::Serialize;

use crate::problem::Problem;

/// A parsed query. Parameters are taken by their names; [`Query::end`] refuses the request if any was wrong.
#[derive(Debug)]
pub struct Query<'a> {
    given: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    faults: Vec<(&'static str, Named)>,
}

/// What is wrong with a parameter's value.
#[derive(Debug)]
pub struct QueryFault {
    code: &'static str,
    detail: String,
}

/// A fault as the answer shows it.
#[derive(Debug, Serialize)]
struct Named {
    /// Empty: the fault is in the query, not in a body.
    pointer: &'static str,
    detail: String,
}

/// The problem's code, unless a fault has its own.
const BAD_QUERY: &str = "bad-query";

impl QueryFault {
    /// With a problem code of its own.
    pub fn with_code(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

impl From<String> for QueryFault {
    fn from(detail: String) -> Self {
        Self { code: BAD_QUERY, detail }
    }
}

impl From<&str> for QueryFault {
    fn from(detail: &str) -> Self {
        detail.to_owned().into()
    }
}

impl<'a> Query<'a> {
    /// Parses a query. Parameters that are not taken are ignored, unless [`Query::only`] refuses them.
    pub fn parse(query: &'a str) -> Self {
        Self { given: form_urlencoded::parse(query.as_bytes()).collect(), faults: Vec::new() }
    }

    /// Refuses every parameter that is not `known`, and those that are given more than once though they are not
    /// `repeatable`: a misspelt filter would give everything.
    #[must_use]
    pub fn only(mut self, known: &[&str], repeatable: &[&str]) -> Self {
        let names: BTreeSet<String> = self.given.iter().map(|(name, _)| name.to_string()).collect();
        for name in names {
            if !known.contains(&name.as_str()) {
                let detail = match known {
                    [] => "takes no parameters".to_owned(),
                    known => format!("unknown parameter; known: {}", known.join(", ")),
                };
                self.fault(&name, detail);
            } else if self.all(&name).count() > 1 && !repeatable.contains(&name.as_str()) {
                self.fault(&name, "is given more than once");
            }
        }
        self
    }

    /// Whether the parameter is given.
    pub fn is_given(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// Its values, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.given.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_ref())
    }

    /// Its value, if it is given and can be read: the last one, where it is given more than once. All are checked.
    pub fn take<T, E: Into<QueryFault>>(
        &mut self,
        name: &str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let values: Result<Vec<T>, E> = self.all(name).map(read).collect();
        match values {
            Ok(mut values) => values.pop(),
            Err(fault) => {
                self.fault(name, fault);
                None
            }
        }
    }

    /// The refusal for one parameter.
    pub fn refusal(name: &str, fault: impl Into<QueryFault>) -> Problem {
        let mut query = Query::parse("");
        query.fault(name, fault);
        refusal(&query.faults)
    }

    /// Notes what is wrong with a parameter.
    pub fn fault(&mut self, name: &str, fault: impl Into<QueryFault>) {
        let QueryFault { code, detail } = fault.into();
        self.faults.push((code, Named { pointer: "", detail: format!("{name}: {detail}") }));
    }

    /// Of several parameters, the one that is given last.
    pub fn last_of<'n>(&self, names: &[&'n str]) -> Option<&'n str> {
        self.given.iter().rev().find_map(|(own, _)| names.iter().copied().find(|name| own == name))
    }

    /// # Errors
    /// The refusal, with the code and the sentence of the first fault, and all of them as `errors`.
    pub fn end(self) -> Result<(), Problem> {
        if self.faults.is_empty() { Ok(()) } else { Err(refusal(&self.faults)) }
    }
}

fn refusal(faults: &[(&'static str, Named)]) -> Problem {
    let (code, detail) = faults.first().map_or((BAD_QUERY, ""), |(code, first)| (code, &first.detail));
    let all: Vec<&Named> = faults.iter().map(|(_, fault)| fault).collect();
    Problem::new(StatusCode::BAD_REQUEST, code, detail).errors(&all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Result<u32, &'static str> {
        text.parse().map_err(|_| "must be a number")
    }

    fn shown(query: Query<'_>) -> String {
        format!("{:?}", query.end().unwrap_err())
    }

    #[test]
    fn parameters_are_taken_by_name_and_the_last_value_counts() {
        let mut query = Query::parse("limit=1&sensor=a&x=%C3%A9&sensor=b+c&limit=2");
        assert_eq!(query.take("limit", number), Some(2));
        assert_eq!(query.take("wait", number), None);
        assert_eq!(query.all("sensor").collect::<Vec<_>>(), ["a", "b c"]);
        assert!(query.is_given("x") && !query.is_given("y"));
        assert_eq!(query.last_of(&["x", "y", "sensor"]), Some("sensor"));
        assert!(query.end().is_ok());
    }

    #[test]
    fn every_fault_is_named_and_the_first_gives_the_code() {
        let mut query = Query::parse("limit=x&limit=1&since=never&wait=y");
        query.take("since", |_| Err::<(), _>(QueryFault::with_code("bad-position", "invalid position")));
        query.take("limit", number);
        query.take("wait", number);
        let shown = shown(query);
        assert!(shown.contains("\"bad-position\""), "{shown}");
        for fault in ["since: invalid position", "limit: must be a number", "wait: must be a number"] {
            assert!(shown.contains(fault), "{shown}");
        }
    }

    #[test]
    fn unknown_and_repeated_parameters_are_refused_where_only_some_are_known() {
        let query = Query::parse("form=1&limit=1&limit=2&sensor=a&sensor=b");
        let shown = shown(query.only(&["sensor", "from", "limit"], &["sensor"]));
        for fault in ["form: unknown parameter; known: sensor, from, limit", "limit: is given more than once"]
        {
            assert!(shown.contains(fault), "{shown}");
        }
        assert!(!shown.contains("sensor: "), "{shown}");
        let nothing = format!("{:?}", Query::parse("x=1").only(&[], &[]).end().unwrap_err());
        assert!(nothing.contains("x: takes no parameters"), "{nothing}");
    }
}
