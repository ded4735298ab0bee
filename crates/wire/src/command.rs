//! What a client says in v1.

use std::{borrow::Cow, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, de::DeserializeOwned, ser::SerializeMap};
use serde_json::Value;

use crate::{error::ErrorCode, frame::Empty, position::Position};

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
    /// Say who it is, first or anew.
    Auth(Auth),
    /// Answer with `pong`.
    Ping,
    /// No verb of v1, by the name of the first key that is not `id`.
    Unknown(String),
    /// A known verb with a body that does not fit.
    Malformed(Refusal),
}

/// Why a command is refused, in code and words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The stable word.
    pub code: ErrorCode,
    /// A sentence for people.
    pub message: String,
}

impl Refusal {
    /// A code with its sentence.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// The body of `subscribe`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Subscribe {
    /// Exact ids and `prefix*`; absent means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sensors: Option<Vec<String>>,
    /// Where to start.
    pub from: Start,
    /// Every reading, or the newest of each sensor.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: Mode,
    /// In mode `latest`, the most events a second for each sensor; absent, as many as the connection takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.001, max = 1000.0))]
    pub max_rate: Option<f64>,
}

/// The most that `max_rate` may ask for: above it every reading might as well be sent.
const MAX_RATE: f64 = 1_000.0;

/// The least: one event in 1,000 seconds.
const MIN_RATE: f64 = 0.001;

/// What a subscription is told of its sensors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Every reading, in the one order.
    #[default]
    All,
    /// The newest reading of each sensor, at most `max_rate` a second; older ones that wait are left out.
    Latest,
}

impl FromStr for Mode {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        match text {
            "all" => Ok(Self::All),
            "latest" => Ok(Self::Latest),
            _ => Err(Refusal::new(ErrorCode::BadCommand, "`mode` must be all or latest")),
        }
    }
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
    /// With what was committed within this time before now.
    Last(Duration),
}

impl FromStr for Start {
    type Err = Refusal;

    /// `now`, `latest` or a position.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        match text {
            "now" => Ok(Self::Now),
            "latest" => Ok(Self::Latest),
            token => token.parse().map(Self::After).map_err(|_| {
                Refusal::new(ErrorCode::BadPosition, "`from` is neither now, latest nor a position")
            }),
        }
    }
}

impl Start {
    /// The time before now that `last` names, such as `15m`.
    pub fn last(text: &str) -> Result<Self, Refusal> {
        humantime::parse_duration(text).map(Self::Last).map_err(|_| {
            Refusal::new(ErrorCode::BadCommand, "`last` must be a time such as 90s, 15m or 2h 30m")
        })
    }

    fn read(value: &Value) -> Result<Self, Refusal> {
        if let Some(text) = value.as_str() {
            return text.parse();
        }
        match value.get("last").and_then(Value::as_str) {
            Some(last) => Self::last(last),
            None => Err(Refusal::new(
                ErrorCode::BadCommand,
                r#"`from` must be "now", "latest", a position or {"last":"15m"}"#,
            )),
        }
    }
}

impl Serialize for Start {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Now => serializer.serialize_str("now"),
            Self::Latest => serializer.serialize_str("latest"),
            Self::After(pos) => serializer.collect_str(pos),
            Self::Last(time) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("last", &humantime::format_duration(*time).to_string())?;
                map.end()
            }
        }
    }
}

impl JsonSchema for Start {
    fn schema_name() -> Cow<'static, str> {
        "Start".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let position = generator.subschema_for::<Position>();
        json_schema!({
            "description": "Where a subscription starts.",
            "oneOf": [
                { "const": "now", "description": "With the next reading." },
                { "const": "latest", "description": "With the newest reading of each sensor, then live." },
                position,
                {
                    "type": "object",
                    "description": "With what was committed within this time before now.",
                    "properties": { "last": { "type": "string", "examples": ["15m"] } },
                    "required": ["last"]
                }
            ]
        })
    }
}

impl Subscribe {
    /// Checks a rate, in events a second.
    pub fn rate(rate: f64) -> Result<f64, Refusal> {
        if (MIN_RATE..=MAX_RATE).contains(&rate) {
            return Ok(rate);
        }
        Err(Refusal::new(
            ErrorCode::BadCommand,
            format!("`max_rate` must be a number from {MIN_RATE} to {MAX_RATE}"),
        ))
    }

    fn read(body: Value) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Body {
            sensors: Option<Vec<String>>,
            from: Option<Value>,
            mode: Option<Mode>,
            max_rate: Option<f64>,
        }
        let body: Body = read_body(body)?;
        Ok(Self {
            sensors: body.sensors,
            from: body.from.as_ref().map(Start::read).transpose()?.unwrap_or_default(),
            mode: body.mode.unwrap_or_default(),
            max_rate: body.max_rate.map(Self::rate).transpose()?,
        })
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The fields of a body by their names: serde would also take a list for them.
fn read_body<T: DeserializeOwned>(body: Value) -> Result<T, Refusal> {
    if !body.is_object() {
        return Err(Refusal::new(ErrorCode::BadCommand, "the body of a command is an object"));
    }
    T::deserialize(body).map_err(bad_body)
}

fn bad_body(error: serde_json::Error) -> Refusal {
    Refusal::new(ErrorCode::BadCommand, shortened(&error.to_string()).into_owned())
}

/// The most characters of a client's own words that an answer repeats.
const REPEATED: usize = 80;

/// A text of which a client may have made any length, as an answer repeats it.
pub fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(REPEATED) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
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
    /// Comes back in the answer.
    pub id: Option<u64>,
    /// Start a subscription.
    pub subscribe: Option<Subscribe>,
    /// End a subscription.
    pub unsubscribe: Option<Unsubscribe>,
    /// Say who it is, first or anew.
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
    fn a_start_is_a_word_a_position_or_a_time_back() {
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
