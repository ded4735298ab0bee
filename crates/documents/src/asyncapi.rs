//! The AsyncAPI document: the messages of sockets and event streams, and the codes with which they are closed.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use wire::{
    Close, ErrorCode, Position, SUBPROTOCOL, ServerMessage, close::Next, command::ClientMessage,
    reading::ReadingObject,
};

use crate::{api::VERSION, security};

pub(crate) fn document() -> Value {
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Rowcast's sockets",
            "version": VERSION,
            "license": { "name": "Apache-2.0" },
            "description": "Readings as they are committed, in one order, resumable from any `pos`. \
                docs/PROTOCOL.md explains the messages; /openapi.json describes plain HTTP."
        },
        "defaultContentType": "application/json",
        "channels": {
            "socket": {
                "address": "/ws/sensors/",
                "title": "The socket",
                "description": format!("Also at /ws/sensor-readings/. With the subprotocol `{SUBPROTOCOL}` or `?v=1` it \
                    speaks v1; otherwise, until a v1 command comes, the demo's protocol: a frame for every reading and \
                    nothing else. A frame of v1 is a message or an array of messages. A client that cannot set headers \
                    says who it is by the subprotocol `bearer.<token>` beside `{SUBPROTOCOL}`, by a first message `auth`, or by a ticket."),
                "bindings": { "ws": { "method": "GET", "query": query() } },
                "messages": {
                    "client": message("client"), "server": message("server"), "demo": message("demo")
                },
                "x-close-codes": close_codes()
            },
            "events": {
                "address": "/sse/sensors/",
                "title": "The event stream",
                "description": "Server-sent events: a reading has no event name and its position as id; the others are \
                    named as the keys of a server's message are, with that key's value as data.",
                "messages": { "reading": message("reading"), "control": message("control") }
            }
        },
        "operations": {
            "command": operation("receive", "socket", &["client"], "What a client sends in v1."),
            "say": operation("send", "socket", &["server", "demo"], "What a client receives."),
            "stream": operation("send", "events", &["reading", "control"], "What a client of the stream receives.")
        },
        "components": {
            "schemas": schemas(), "messages": messages(), "securitySchemes": security::socket_schemes()
        },
        "x-error-codes": error_codes()
    })
}

fn message(name: &str) -> Value {
    json!({ "$ref": format!("#/components/messages/{name}") })
}

fn operation(action: &str, channel: &str, messages: &[&str], summary: &str) -> Value {
    let messages: Vec<Value> = messages
        .iter()
        .map(|name| json!({ "$ref": format!("#/channels/{channel}/messages/{name}") }))
        .collect();
    json!({
        "action": action,
        "channel": { "$ref": format!("#/channels/{channel}") },
        "summary": summary,
        "messages": messages,
        "security": security::of_channel()
    })
}

fn query() -> Value {
    json!({
        "type": "object",
        "properties": {
            "v": { "enum": ["1"], "description": "v1." },
            "sensor": { "type": "string", "description": "A first subscription: ids and prefixes, with commas." },
            "from": { "type": "string", "description": "`now`, `latest` or a position." },
            "last": { "type": "string", "description": "A time back, such as `15m`." },
            "mode": { "enum": ["all", "latest"] },
            "max_rate": { "type": "number", "minimum": 0.001, "maximum": 1000 },
            "trace": { "type": "boolean" },
            "ticket": { "type": "string", "description": "Of `POST /api/tickets`, instead of another credential." }
        }
    })
}

fn messages() -> Value {
    let schema = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let control = ["Attached", "Live", "Mark", "Gap", "CommandError", "Expires", "Bye"].map(schema);
    json!({
        "client": { "title": "A command of v1", "payload": schema("ClientMessage") },
        "server": { "title": "A message of v1", "payload": schema("ServerMessage") },
        "demo": {
            "title": "The demo's frame",
            "payload": {
                "type": "object",
                "properties": { "data": schema("Reading") },
                "required": ["data"]
            }
        },
        "reading": { "title": "A reading; its id is its position", "payload": schema("Reading") },
        "control": {
            "title": "An event named ok, live, mark, gap, error, expires or bye",
            "payload": { "oneOf": control }
        }
    })
}

/// JSON Schema draft 7, which AsyncAPI 3.0's own schemas extend.
fn schemas() -> Map<String, Value> {
    let mut settings = SchemaSettings::draft07().for_serialize();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = settings.into_generator();
    generator.subschema_for::<ClientMessage>();
    generator.subschema_for::<ServerMessage>();
    generator.subschema_for::<ReadingObject>();
    generator.subschema_for::<Position>();
    generator.take_definitions(true)
}

fn close_codes() -> Vec<Value> {
    let row = |close: &Close| {
        json!({
            "code": close.code(), "reason": close.reason(), "description": close.meaning().trim(),
            "next": next_word(close.next())
        })
    };
    Close::ALL.iter().map(row).collect()
}

/// The word for what a client does after a close.
pub const fn next_word(next: Next) -> &'static str {
    match next {
        Next::Resume => "resume",
        Next::BackOff => "back-off",
        Next::Snapshot => "snapshot",
        Next::Authenticate => "authenticate",
        Next::Stop => "stop",
    }
}

fn error_codes() -> Vec<Value> {
    let row = |code: &ErrorCode| json!({ "code": code.word(), "description": code.meaning().trim(), "retry": code.retry() });
    ErrorCode::ALL.iter().map(row).collect()
}
