//! What a client says in v1.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::position::Position;

/// One message of a client. Unknown fields are ignored; a message without a known verb has [`Verb::Unknown`].
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Comes back in the answer.
    pub id: Option<u64>,
    /// What is asked.
    pub verb: Verb,
}

/// What a client may ask.
#[derive(Debug, Clone, PartialEq)]
pub enum Verb {
    /// Start a subscription.
    Subscribe(Subscribe),
    /// End the subscription with this number.
    Unsubscribe(u32),
    /// Answer with `pong`.
    Ping,
    /// No verb of v1, by the name of the first key that is not `id`.
    Unknown(String),
    /// A known verb with a body that does not fit, and why.
    Malformed(String),
}

/// The body of `subscribe`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Subscribe {
    /// Exact ids and `prefix*`; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensors: Option<Vec<String>>,
    /// Where to start.
    #[serde(default)]
    pub from: Start,
}

/// Where a subscription starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Start {
    /// With the next reading.
    #[default]
    Now,
    /// With the newest reading of each sensor, then live.
    Latest,
    /// After this position.
    After(Position),
}

impl Serialize for Start {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Now => serializer.serialize_str("now"),
            Self::Latest => serializer.serialize_str("latest"),
            Self::After(pos) => serializer.collect_str(pos),
        }
    }
}

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "now" => Ok(Self::Now),
            "latest" => Ok(Self::Latest),
            token => token.parse().map(Self::After).map_err(serde::de::Error::custom),
        }
    }
}

#[derive(Deserialize)]
struct Unsubscribe {
    sub: u32,
}

/// A frame that is not a JSON object or a list of them.
#[derive(Debug, thiserror::Error)]
#[error("a message is a JSON object or an array of them")]
pub struct NotAMessage;

impl Command {
    /// The messages of a text frame.
    pub fn parse_frame(text: &str) -> Result<Vec<Self>, NotAMessage> {
        match serde_json::from_str(text).map_err(|_| NotAMessage)? {
            Value::Array(messages) => messages.into_iter().map(Self::from_value).collect(),
            message => Ok(vec![Self::from_value(message)?]),
        }
    }

    fn from_value(message: Value) -> Result<Self, NotAMessage> {
        let Value::Object(mut fields) = message else { return Err(NotAMessage) };
        let id = fields.remove("id").and_then(|id| id.as_u64());
        let body = |body: Value| -> Verb {
            Subscribe::deserialize(body).map_or_else(|e| Verb::Malformed(e.to_string()), Verb::Subscribe)
        };
        let verb = if let Some(subscribe) = fields.remove("subscribe") {
            body(subscribe)
        } else if let Some(unsubscribe) = fields.remove("unsubscribe") {
            Unsubscribe::deserialize(unsubscribe)
                .map_or_else(|e| Verb::Malformed(e.to_string()), |u| Verb::Unsubscribe(u.sub))
        } else if fields.contains_key("ping") {
            Verb::Ping
        } else {
            Verb::Unknown(fields.keys().next().cloned().unwrap_or_default())
        };
        Ok(Self { id, verb })
    }

    /// Whether the message belongs to v1, so that a demo connection that sends it speaks v1 from then on.
    pub fn is_v1(&self) -> bool {
        !matches!(self.verb, Verb::Unknown(_))
    }

    /// The message as text, for clients.
    pub fn to_json(&self) -> String {
        let mut message = serde_json::Map::new();
        if let Some(id) = self.id {
            message.insert("id".into(), id.into());
        }
        let (verb, body) = match &self.verb {
            Verb::Subscribe(subscribe) => ("subscribe", serde_json::json!(subscribe)),
            Verb::Unsubscribe(sub) => ("unsubscribe", serde_json::json!({ "sub": sub })),
            Verb::Ping => ("ping", serde_json::json!({})),
            Verb::Unknown(verb) | Verb::Malformed(verb) => (verb.as_str(), serde_json::json!({})),
        };
        message.insert(verb.into(), body);
        Value::Object(message).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::{Epoch, Tick};

    #[track_caller]
    fn check(text: &str, expected: &[Command]) {
        assert_eq!(Command::parse_frame(text).expect("a message"), expected);
    }

    #[test]
    fn verbs_are_read_and_unknown_fields_ignored() {
        let pos = Position::new(Epoch(1), Tick(2), 3);
        check(
            r#"{"id":1,"subscribe":{"sensors":["a","b*"],"from":"1.2.3","future":true},"x":1}"#,
            &[Command {
                id: Some(1),
                verb: Verb::Subscribe(Subscribe {
                    sensors: Some(vec!["a".into(), "b*".into()]),
                    from: Start::After(pos),
                }),
            }],
        );
        check(r#"{"ping":{}}"#, &[Command { id: None, verb: Verb::Ping }]);
        check(
            r#"[{"id":2,"unsubscribe":{"sub":1}},{"subscribe":{}}]"#,
            &[
                Command { id: Some(2), verb: Verb::Unsubscribe(1) },
                Command { id: None, verb: Verb::Subscribe(Subscribe::default()) },
            ],
        );
    }

    #[test]
    fn a_wrong_body_is_malformed_and_a_wrong_verb_unknown() {
        let verb = |text: &str| Command::parse_frame(text).unwrap().remove(0).verb;
        assert!(matches!(verb(r#"{"subscribe":{"from":"x"}}"#), Verb::Malformed(_)));
        assert!(matches!(verb(r#"{"subscribe":7}"#), Verb::Malformed(_)));
        assert_eq!(verb(r#"{"id":1,"publish":{}}"#), Verb::Unknown("publish".into()));
        assert_eq!(verb("{}"), Verb::Unknown(String::new()));
        for text in ["", "7", "[1]", "{", "null"] {
            assert!(Command::parse_frame(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_command_reads_back() {
        for text in [r#"{"id":4,"subscribe":{"from":"latest","sensors":["a"]}}"#, r#"{"ping":{}}"#] {
            let command = Command::parse_frame(text).unwrap().remove(0);
            assert_eq!(command.to_json(), text);
        }
    }
}
