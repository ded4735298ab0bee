//! The messages of a server in v1, and how an event is composed of shared bytes.

use std::io::Write;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    close::{Close, Next},
    empty::Empty,
    error::Refusal,
    position::Position,
    trace::TraceParent,
};

/// One message of a server. Exactly one of its bodies is present; absent fields are not written.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ServerMessage {
    /// The `id` of the command that this answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// The subscription it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<u32>,
    /// Safe to resume from: everything that matches up to it has been sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pos: Option<Position>,
    /// The event is the newest reading of its sensor, from a snapshot.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub snap: bool,
    /// In mode `latest`: how many older readings of the sensor were left out before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged: Option<u64>,
    /// The W3C trace context of the request that brought the reading, where it had one and the subscription asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// An event's reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::reading::ReadingObject>")]
    pub data: Option<Box<RawValue>>,
    /// The first message of a v1 connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hello: Option<Hello>,
    /// A subscription is attached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ok: Option<Attached>,
    /// A command failed; the connection stays open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<CommandError>,
    /// The end of a snapshot or replay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<Live>,
    /// The heartbeat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
    /// Readings that are no longer available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
    /// The answer to `ping`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pong: Option<Empty>,
    /// The answer to `auth`: the token is valid, and in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<Authenticated>,
    /// The client's token ends soon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Expires>,
    /// The server is about to close.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bye: Option<Bye>,
}

/// The body of `hello`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hello {
    /// The protocol's version.
    pub v: u32,
    /// The connection's name in the gateway's logs.
    pub session: String,
    /// The end of the log.
    pub pos: Position,
    /// The longest silence on a live subscription, in milliseconds.
    pub idle_ms: u64,
    /// The gateway's limits.
    pub limits: Limits,
}

/// The limits in `hello`. An older gateway may not send all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Limits {
    /// The largest message, in bytes.
    pub message_bytes: usize,
    /// The most subscriptions on one connection.
    pub subscriptions: usize,
    /// The most patterns in one subscription.
    pub patterns: usize,
    /// The most fragments of one message.
    pub fragments: usize,
    /// The most commands a second, in bursts of up to ten times as many.
    pub commands_per_s: u32,
}

/// The body of `ok`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attached {
    /// The subscription's number on this connection.
    pub sub: u32,
    /// Nothing that matches and comes after it will be missed; absent for a snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pos: Option<Position>,
    /// For a resume: the log reaches back to where it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<bool>,
}

/// The body of `error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandError {
    /// A stable code.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// Whether the same command may succeed later.
    pub retry: bool,
    /// In so many milliseconds it is admitted, if nothing else is until then; of `too-many-requests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u64>,
}

/// The body of `live`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Live {
    /// Live from here.
    pub pos: Position,
}

/// The body of `mark`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mark {
    /// All that matches up to it has been sent.
    pub pos: Position,
    /// How many events the subscription has had since `ok`.
    pub n: u64,
    /// The gateway has not received anything from the leader for some seconds: there may be later readings that it does
    /// not have.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
}

/// The body of `gap`: readings in (from, to] are no longer available.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// Where the client was.
    pub from: Position,
    /// Where the subscription continues.
    pub to: Position,
    /// The reason.
    pub reason: GapReason,
}

/// Why readings are not available.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GapReason {
    /// They were dropped as too old.
    Retention,
    /// Postgres was restored or promoted without them.
    Epoch,
}

/// The answer to `auth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Authenticated {
    /// When the token ends, in milliseconds from now; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_ms: Option<u64>,
}

/// The body of `expires`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Expires {
    /// When the token ends, in milliseconds from now. A fresh one in `auth` goes on without a seam; without it, the connection
    /// is closed with 4401.
    pub in_ms: u64,
}

/// The body of `bye`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bye {
    /// The close code that follows.
    pub code: u16,
    /// Its reason.
    pub reason: String,
    /// When to reconnect, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u64>,
    /// Whether the last position is worth resuming from.
    pub resume: bool,
}

impl From<Refusal> for CommandError {
    fn from(Refusal { code, message, after_ms }: Refusal) -> Self {
        Self { code: code.word().to_owned(), message, retry: code.retry(), after_ms }
    }
}

impl Bye {
    /// The `bye` of a close code, with the time to reconnect after.
    pub fn new(close: Close, after_ms: Option<u64>) -> Self {
        let resume = matches!(close.next(), Next::Resume | Next::BackOff);
        Self { code: close.code(), reason: close.reason().to_owned(), after_ms, resume }
    }
}

impl ServerMessage {
    /// The messages of a text frame.
    pub fn parse_frame(text: &str) -> serde_json::Result<Vec<Self>> {
        if text.trim_start().starts_with('[') {
            serde_json::from_str(text)
        } else {
            Ok(vec![serde_json::from_str(text)?])
        }
    }

    /// The message as text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("messages have no map keys that could fail")
    }
}

/// Appends the demo's text message for a reading's JSON.
pub fn write_demo_event(data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"data":"#);
    out.extend_from_slice(data);
    out.push(b'}');
}

/// Appends the opening of an event of subscription `sub`; a tail of [`write_event_tail`] completes it.
pub fn write_event_head(sub: u32, out: &mut Vec<u8>) {
    write!(out, r#"{{"sub":{sub},"#).expect("writing to memory does not fail");
}

/// Appends the trace context of an event, between its head and its tail.
pub fn write_event_trace(trace: TraceParent, out: &mut Vec<u8>) {
    write!(out, r#""traceparent":"{trace}","#).expect("writing to memory does not fail");
}

/// Appends the part of an event that is the same for every subscription.
pub fn write_event_tail(pos: Position, data: &[u8], out: &mut Vec<u8>) {
    write!(out, r#""pos":"{pos}","data":"#).expect("writing to memory does not fail");
    out.extend_from_slice(data);
    out.push(b'}');
}

/// Appends an event of mode `latest`, before which `merged` older ones of its sensor were left out.
pub fn write_latest_event(sub: u32, merged: u64, data: &[u8], out: &mut Vec<u8>) {
    write_event_head(sub, out);
    if merged > 0 {
        write!(out, r#""merged":{merged},"#).expect("writing to memory does not fail");
    }
    out.extend_from_slice(br#""data":"#);
    out.extend_from_slice(data);
    out.push(b'}');
}

/// Appends an event of a snapshot.
pub fn write_snapshot_event(sub: u32, data: &[u8], out: &mut Vec<u8>) {
    write!(out, r#"{{"sub":{sub},"snap":true,"data":"#).expect("writing to memory does not fail");
    out.extend_from_slice(data);
    out.push(b'}');
}
