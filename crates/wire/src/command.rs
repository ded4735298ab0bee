//! The messages of a client in v1.

mod body;
mod start;
mod subscribe;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::body::read_body;
pub use self::{
    start::Start,
    subscribe::{Mode, Subscribe},
};
use crate::{
    empty::Empty,
    error::{Refusal, shortened},
};

/// One message of a client. Unknown fields are ignored; a message without a known verb has [`Verb::Unknown`].
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Returned in the answer.
    pub id: Option<u64>,
    /// The command.
    pub verb: Verb,
}

/// The commands of a client.
#[derive(Debug, Clone, PartialEq)]
pub enum Verb {
    /// Start a subscription.
    Subscribe(Subscribe),
    /// End the subscription with this number.
    Unsubscribe(u32),
    /// Authenticate, for the first time or again.
    Auth(Auth),
    /// Answer with `pong`.
    Ping,
    /// Not a verb of v1: the name of the first key other than `id`.
    Unknown(String),
    /// A known verb with a body that does not fit.
    Malformed(Refusal),
}

/// The body of `unsubscribe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unsubscribe {
    /// The subscription's number.
    pub sub: u32,
}

/// The body of `auth`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Auth {
    /// The token.
    pub token: String,
}

/// A client's message as its schema; [`Command`] is what reads and writes it.
#[derive(JsonSchema)]
#[schemars(rename = "ClientMessage")]
pub struct ClientMessage {
    /// Returned in the answer.
    pub id: Option<u64>,
    /// Start a subscription.
    pub subscribe: Option<Subscribe>,
    /// End a subscription.
    pub unsubscribe: Option<Unsubscribe>,
    /// Authenticate, for the first time or again.
    pub auth: Option<Auth>,
    /// Answer with `pong`.
    pub ping: Option<Empty>,
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
        let verb = if let Some(body) = fields.remove("subscribe") {
            Subscribe::read(body).map_or_else(Verb::Malformed, Verb::Subscribe)
        } else if let Some(body) = fields.remove("unsubscribe") {
            read_body(body).map_or_else(Verb::Malformed, |Unsubscribe { sub }| Verb::Unsubscribe(sub))
        } else if let Some(body) = fields.remove("auth") {
            read_body(body).map_or_else(Verb::Malformed, Verb::Auth)
        } else if fields.contains_key("ping") {
            Verb::Ping
        } else {
            Verb::Unknown(fields.keys().next().map(|verb| shortened(verb).into_owned()).unwrap_or_default())
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
            Verb::Auth(auth) => ("auth", serde_json::json!(auth)),
            Verb::Ping => ("ping", serde_json::json!({})),
            Verb::Unknown(verb) => (verb.as_str(), serde_json::json!({})),
            Verb::Malformed(refusal) => (refusal.code.word(), serde_json::json!({})),
        };
        message.insert(verb.into(), body);
        Value::Object(message).to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        error::ErrorCode,
        position::{Epoch, Position, Tick},
    };

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
                    ..Subscribe::default()
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

    fn verb(text: &str) -> Verb {
        Command::parse_frame(text).unwrap().remove(0).verb
    }

    #[test]
    fn a_start_is_a_keyword_a_position_or_a_duration() {
        let from = |text: &str| match verb(&format!(r#"{{"subscribe":{{"from":{text}}}}}"#)) {
            Verb::Subscribe(subscribe) => Ok(subscribe.from),
            Verb::Malformed(refusal) => Err(refusal.code),
            verb => panic!("{verb:?}"),
        };
        assert_eq!(from(r#""now""#), Ok(Start::Now));
        assert_eq!(from(r#"{"last":"15m"}"#), Ok(Start::Last(Duration::from_secs(900))));
        assert_eq!(from(r#""x""#), Err(ErrorCode::BadPosition));
        assert_eq!(from(r#"{"last":"x"}"#), Err(ErrorCode::BadCommand));
        assert_eq!(from("7"), Err(ErrorCode::BadCommand));
    }

    #[test]
    fn a_mode_and_a_rate_are_checked() {
        let subscribe = Subscribe { mode: Mode::Latest, max_rate: Some(0.5), ..Subscribe::default() };
        assert_eq!(verb(r#"{"subscribe":{"mode":"latest","max_rate":0.5}}"#), Verb::Subscribe(subscribe));
        for bad in [r#""mode":"some""#, r#""max_rate":0"#, r#""max_rate":-1"#, r#""max_rate":1e9"#] {
            let Verb::Malformed(refusal) = verb(&format!(r#"{{"subscribe":{{{bad}}}}}"#)) else {
                panic!("{bad}")
            };
            assert_eq!(refusal.code, ErrorCode::BadCommand, "{bad}");
        }
    }

    #[test]
    fn a_wrong_body_is_malformed_and_a_wrong_verb_unknown() {
        assert!(matches!(verb(r#"{"subscribe":7}"#), Verb::Malformed(_)));
        assert!(matches!(verb(r#"{"auth":{}}"#), Verb::Malformed(_)));
        for unnamed in [r#"{"unsubscribe":[1]}"#, r#"{"auth":["t"]}"#, r#"{"subscribe":[["a"],"now"]}"#] {
            assert!(matches!(verb(unnamed), Verb::Malformed(_)), "{unnamed}");
        }
        assert_eq!(verb(r#"{"id":1,"publish":{}}"#), Verb::Unknown("publish".into()));
        assert_eq!(verb("{}"), Verb::Unknown(String::new()));
        for text in ["", "7", "[1]", "{", "null"] {
            assert!(Command::parse_frame(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_command_reads_back() {
        for text in [
            r#"{"id":4,"subscribe":{"from":"latest","sensors":["a"]}}"#,
            r#"{"subscribe":{"from":{"last":"15m"},"max_rate":2.5,"mode":"latest"}}"#,
            r#"{"auth":{"token":"t"}}"#,
            r#"{"ping":{}}"#,
        ] {
            let command = Command::parse_frame(text).unwrap().remove(0);
            assert_eq!(command.to_json(), text);
        }
    }
}
