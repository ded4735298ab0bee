//! What a client's tokens granted, and from which position on.

use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use serde_json::json;
use wire::{Filter, Position};

use super::truth::Committed;
use crate::tokens::Issuer;

/// The patterns that tokens choose from.
const READ: [&[&str]; 5] =
    [&["*"], &["writer-*"], &["writer-0", "writer-p*"], &["writer-1", "writer-2"], &["writer-psql"]];

/// A token, and what it grants.
pub(super) struct Token {
    pub(super) text: String,
    pub(super) filter: Filter,
}

impl Token {
    /// Of the client with this number.
    pub(super) fn random(issuer: &Issuer, client: u64, rng: &mut StdRng) -> Self {
        let read = READ.choose(rng).expect("there are some");
        let mut claims = issuer.claims(&format!("client-{client}"), read);
        claims["jti"] = json!(rng.random_range(0..u64::MAX).to_string());
        Self { text: issuer.token(&claims), filter: Filter::parse(Some(read)).expect("patterns") }
    }
}

/// Grants one after the other.
#[derive(Debug, Default)]
pub(super) struct Grants(Vec<Grant>);

#[derive(Debug)]
struct Grant {
    filter: Filter,
    /// It holds from behind a position between these two: the last one that the client had when it was told of the grant, and
    /// the first one after that.
    from: (Position, Option<Position>),
}

impl Grants {
    /// A grant that holds from behind this position: that of a new connection.
    pub(super) fn begin(&mut self, filter: Filter, from: Position) {
        // nothing came of the one before
        self.note(from);
        self.0.push(Grant { filter, from: (from, Some(from)) });
    }

    /// The client is told of another grant, and this is the last position that it has.
    pub(super) fn change(&mut self, filter: Filter, last: Position) {
        self.0.push(Grant { filter, from: (last, None) });
    }

    /// The client has another position.
    pub(super) fn note(&mut self, pos: Position) {
        if let Some(Grant { from: (_, upto @ None), .. }) = self.0.last_mut() {
            *upto = Some(pos);
        }
    }

    /// Whether the last change is still to be placed.
    pub(super) fn is_open(&self) -> bool {
        self.0.last().is_some_and(|grant| grant.from.1.is_none())
    }

    /// How many there were.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The positions behind which each grant holds. Within its bounds a grant holds behind the last reading that it alone allows,
    /// and that the client did not get: whatever comes later it must have got.
    fn starts(&self, log: &[Committed], events: &[Position]) -> Vec<Position> {
        let mut starts: Vec<Position> = self.0.iter().map(|grant| grant.from.0).collect();
        for (at, pair) in self.0.windows(2).enumerate() {
            let [before, grant] = pair else { continue };
            let (from, upto) = grant.from;
            let missed = log.iter().rev().find(|own| {
                let is_within = from < own.pos && upto.is_none_or(|upto| own.pos <= upto);
                let is_new = grant.filter.matches(&own.sensor) && !before.filter.matches(&own.sensor);
                is_within && is_new && events.binary_search(&own.pos).is_err()
            });
            starts[at + 1] = missed.map_or(from, |own| own.pos).max(starts[at]);
        }
        starts
    }

    /// Whether each reading of the log, of which the client selects all, was granted at its position.
    pub(super) fn of<'a>(
        &'a self,
        log: &'a [Committed],
        events: &[Position],
    ) -> impl Fn(&Committed) -> bool + use<'a> {
        let starts = self.starts(log, events);
        move |own| {
            let grant = starts.partition_point(|start| *start < own.pos).checked_sub(1);
            grant.is_some_and(|grant| self.0[grant].filter.matches(&own.sensor))
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::{Epoch, Tick};

    use super::*;

    fn at(tick: i64) -> Position {
        Position::new(Epoch(1), Tick(tick), tick)
    }

    fn filter(pattern: &str) -> Filter {
        Filter::parse(Some(&[pattern])).unwrap()
    }

    /// From `a` to `b`, between the positions 4 and 8; `a` has the odd ones.
    #[track_caller]
    fn check(events: &[i64], expected: &[i64]) {
        let sensor = |tick| if tick % 2 == 0 { "b" } else { "a" };
        let log: Vec<Committed> =
            (1..12).map(|tick| Committed { pos: at(tick), sensor: sensor(tick).to_owned() }).collect();
        let mut grants = Grants::default();
        grants.begin(filter("a"), Position::default());
        grants.change(filter("b"), at(4));
        grants.note(at(8));
        grants.note(at(10));
        let events: Vec<Position> = events.iter().map(|tick| at(*tick)).collect();
        let is_granted = grants.of(&log, &events);
        let granted: Vec<i64> = log.iter().filter(|own| is_granted(own)).map(|own| own.pos.tick.0).collect();
        assert_eq!(granted, expected);
    }

    #[test]
    fn a_change_lies_between_what_the_client_had_and_what_it_got_next() {
        check(&[1, 3, 6, 8, 10], &[1, 3, 6, 8, 10]);
        check(&[1, 3, 8, 10], &[1, 3, 5, 8, 10]);
        // a hole, and what comes too late
        check(&[1, 3, 6, 10], &[1, 3, 5, 7, 10]);
        check(&[1, 3, 5, 7, 9], &[1, 3, 5, 7, 10]);
    }
}
