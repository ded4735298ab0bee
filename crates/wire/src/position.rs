//! The position of a reading in the log's order.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, de, ser};

/// A run of ticks on one Postgres history; a restore or an async promotion starts a new, larger one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub i64);

/// The number of a durable Postgres snapshot, counted up without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(pub i64);

impl Tick {
    /// The tick after this one.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Epoch, tick and reading id, ordered in that order. Clients see it as one opaque token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The Postgres history.
    pub epoch: Epoch,
    /// The tick that holds the reading.
    pub tick: Tick,
    /// The reading's id; [`Position::WHOLE_TICK`] is after all of the tick's readings.
    pub id: i64,
}

impl Position {
    /// The id of a position after every reading of its tick.
    pub const WHOLE_TICK: i64 = i64::MAX;

    /// A reading's position.
    pub const fn new(epoch: Epoch, tick: Tick, id: i64) -> Self {
        Self { epoch, tick, id }
    }

    /// The position after everything in `tick`.
    pub const fn after_tick(epoch: Epoch, tick: Tick) -> Self {
        Self { epoch, tick, id: Self::WHOLE_TICK }
    }

    /// The position right before this one: everything up to it excludes the reading at this one.
    #[must_use]
    pub const fn before(&self) -> Self {
        Self { id: self.id.saturating_sub(1), ..*self }
    }

    /// Whether nothing of the position's tick can follow it.
    pub const fn ends_tick(&self) -> bool {
        self.id == Self::WHOLE_TICK
    }
}

/// The token is not a valid position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a position")]
pub struct BadPosition;

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch.0, self.tick.0)?;
        if self.ends_tick() { Ok(()) } else { write!(f, ".{}", self.id) }
    }
}

impl FromStr for Position {
    type Err = BadPosition;

    fn from_str(token: &str) -> Result<Self, BadPosition> {
        let mut parts = token.split('.');
        let epoch = Epoch(number(parts.next())?);
        let tick = Tick(number(parts.next())?);
        let id = match parts.next() {
            None => Self::WHOLE_TICK,
            // the whole tick has a token without an id
            id => Some(number(id)?).filter(|id| *id != Self::WHOLE_TICK).ok_or(BadPosition)?,
        };
        if parts.next().is_some() { Err(BadPosition) } else { Ok(Self { epoch, tick, id }) }
    }
}

/// Digits only: `i64::from_str` would take a sign, and two tokens must not name one position.
fn number(part: Option<&str>) -> Result<i64, BadPosition> {
    let digits = part.ok_or(BadPosition)?;
    let canonical = !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (digits.len() == 1 || !digits.starts_with('0'));
    if canonical { digits.parse().map_err(|_| BadPosition) } else { Err(BadPosition) }
}

impl Serialize for Position {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Position {
    fn schema_name() -> Cow<'static, str> {
        "Position".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "The position of a reading in the log's order; opaque. It is safe to resume from any position that was received.",
            "pattern": "^[0-9A-Za-z.-]{1,64}$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn position() -> impl Strategy<Value = Position> {
        (0..=i64::MAX, 0..=i64::MAX, 0..=i64::MAX)
            .prop_map(|(epoch, tick, id)| Position::new(Epoch(epoch), Tick(tick), id))
    }

    proptest! {
        #[test]
        fn a_token_reads_back_as_its_position(pos in position()) {
            let token = pos.to_string();
            prop_assert!(token.len() <= 64);
            prop_assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-'));
            prop_assert_eq!(token.parse(), Ok(pos));
        }

        #[test]
        fn a_position_has_one_token(text in "[+-]?0?[0-9]{1,19}(\\.[+-]?0?[0-9]{1,19}){1,2}") {
            if let Ok(pos) = text.parse::<Position>() {
                prop_assert_eq!(pos.to_string(), text);
            }
        }
    }

    #[test]
    fn the_order_is_epoch_then_tick_then_id() {
        let at = |e, t, i| Position::new(Epoch(e), Tick(t), i);
        assert!(at(1, 9, 9) < at(2, 1, 1));
        assert!(at(1, 1, 9) < at(1, 2, 1));
        assert!(at(1, 2, 9) < Position::after_tick(Epoch(1), Tick(2)));
        assert!(Position::after_tick(Epoch(1), Tick(2)) < at(1, 3, 1));
    }

    #[test]
    fn invalid_tokens_are_refused() {
        for token in ["", "1", "1.", ".1", "1.2.3.4", "a.b", "1.-2", "+1.2", "01.2", "99999999999999999999.1"]
        {
            assert_eq!(token.parse::<Position>(), Err(BadPosition), "{token}");
        }
    }
}
