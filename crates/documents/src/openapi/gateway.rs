//! What `ws-gateway` serves.

use serde_json::{Value, json};

use super::parts::{operation, parameter, refusals, schema};
use crate::{api::GATEWAY, json::members};

pub(super) fn paths() -> Value {
    members([
        ("/api/readings", readings()),
        ("/api/latest", latest()),
        ("/api/sensors/{sensor_id}", sensor()),
        ("/api/changes", changes()),
        ("/api/tickets", tickets()),
        ("/ws/sensors/", socket()),
        ("/sse/sensors/", events()),
        ("/openapi.json", document("getOpenApi", "This document")),
        ("/asyncapi.json", document("getAsyncApi", "The sockets and the event stream, AsyncAPI 3.0")),
    ])
}

fn etag() -> Value {
    json!({ "description": "For `If-None-Match`.", "schema": { "type": "string" } })
}

fn next() -> Value {
    json!({ "description": "`rel=\"next\"`, the next page (RFC 8288).", "schema": { "type": "string" } })
}

fn sensor_id() -> Value {
    json!({ "name": "sensor_id", "in": "path", "required": true, "schema": { "type": "string" } })
}

fn page(description: &str, json_schema: &Value, line: &Value, headers: &Value) -> Value {
    json!({
        "description": description,
        "headers": headers,
        "content": {
            "application/json": { "schema": json_schema },
            "application/x-ndjson": { "schema": line },
            "text/csv": { "schema": { "type": "string" } }
        }
    })
}

fn readings() -> Value {
    let names = ["sensor", "from", "to", "order", "limit", "cursor", "bucket"];
    let list = json!({ "oneOf": [schema("Readings"), schema("Buckets")] });
    let line = json!({ "oneOf": [schema("Reading"), schema("Bucket")] });
    let headers = json!({ "ETag": etag(), "Link": next() });
    let refusals = refusals(&[
        ("304", "NotModified"),
        ("400", "Malformed"),
        ("403", "ForeignOrigin"),
        ("406", "NotAcceptable"),
        ("503", "NotNow"),
    ]);
    json!({ "get": operation(
        (GATEWAY, "listReadings"),
        "Readings of a span of time, as they are or in buckets",
        "By the readings' own `timestamp`, ties by id, half-open: from `from` to before `to`. Each page continues at a \
         key, so that no reading is left out or repeated, whatever is inserted meanwhile. A page may be shorter than `limit` where its \
         readings are large; the last is the one without `next`. An unknown parameter is refused.",
        names.map(parameter).to_vec(),
        refusals,
        ("200", page("A page: readings, or with `bucket`, buckets.", &list, &line, &headers)),
    )})
}

fn latest() -> Value {
    let headers = json!({
        "ETag": etag(), "Link": next(),
        "Rowcast-Position": { "description": "`pos`, in every form.", "schema": schema("Position") }
    });
    let refusals = refusals(&[
        ("304", "NotModified"),
        ("400", "Malformed"),
        ("403", "ForeignOrigin"),
        ("406", "NotAcceptable"),
        ("410", "Gone"),
        ("503", "NotNow"),
    ]);
    json!({ "get": operation(
        (GATEWAY, "listLatest"),
        "The newest reading of each sensor, as of a position",
        "All pages are as of the position that the first one names. A subscription with `pos` as its `from` then \
         continues live, without a gap or a duplicate.",
        ["sensor", "limit", "cursor"].map(parameter).to_vec(),
        refusals,
        ("200", page("A page, in the order of the sensors' ids.", &schema("Latest"), &schema("Reading"), &headers)),
    )})
}

fn sensor() -> Value {
    json!({ "get": operation(
        (GATEWAY, "getSensor"),
        "One sensor: its newest and its oldest reading",
        "",
        vec![sensor_id()],
        refusals(&[
            ("304", "NotModified"),
            ("400", "Malformed"),
            ("403", "ForeignOrigin"),
            ("404", "NotFound"),
            ("503", "NotNow"),
        ]),
        ("200", json!({
            "description": "The sensor.",
            "headers": { "ETag": etag() },
            "content": { "application/json": { "schema": schema("Sensor") } }
        })),
    )})
}

fn changes() -> Value {
    let query = |name: &str, description: &str| json!({ "name": name, "in": "query", "description": description, "schema": { "type": "string" } });
    json!({ "get": operation(
        (GATEWAY, "pullChanges"),
        "What came after a position, or what comes next",
        "A line for each reading, `{\"pos\":…,\"data\":{…}}`, and last `{\"next\":…,\"more\":…}`; `{\"gap\":{…}}` where \
         readings are no longer kept.",
        vec![
            query("since", "A position; absent, now."),
            parameter("sensor"),
            query("limit", "The most readings, to 10000; 1000 where it is absent."),
            query("wait", "How long to wait for the first reading, such as `30s`; to 50 s."),
        ],
        refusals(&[("400", "Malformed"), ("403", "ForeignOrigin"), ("429", "TooMany"), ("503", "NotNow")]),
        ("200", json!({
            "description": "Lines.",
            "content": { "application/x-ndjson": { "schema": { "type": "object" } } }
        })),
    )})
}

fn tickets() -> Value {
    json!({ "post": operation(
        (GATEWAY, "createTicket"),
        "A ticket, for a URL of the socket or of the event stream",
        "For clients that cannot set headers: an `EventSource`, the demo's. It stands for the credential of this request, for \
         reading, within 30 s and once at any gateway. A session that began with it ends with that credential. The request has \
         no body.",
        Vec::new(),
        refusals(&[("403", "ForeignOrigin"), ("429", "TooMany"), ("503", "NotNow")]),
        ("201", json!({
            "description": "The ticket.",
            "content": { "application/json": { "schema": schema("IssuedTicket") } }
        })),
    )})
}

fn socket() -> Value {
    json!({
        "x-aliases": ["/ws/sensors", "/ws/sensor-readings/", "/ws/sensor-readings"],
        "get": operation(
            (GATEWAY, "openSocket"),
            "The socket; /asyncapi.json describes its messages",
            "",
            vec![json!({
                "name": "v", "in": "query", "schema": { "enum": ["1"] },
                "description": "1, or the subprotocol `rowcast.v1`, for v1; the demo's frames otherwise."
            })],
            refusals(&[
                ("400", "Malformed"),
                ("403", "ForeignOrigin"),
                ("426", "Upgrade"),
                ("429", "TooMany"),
                ("503", "NotNow"),
            ]),
            ("101", json!({ "description": "The socket." })),
        )
    })
}

fn events() -> Value {
    json!({
        "x-aliases": ["/sse/sensors"],
        "get": operation(
            (GATEWAY, "openEventStream"),
            "The same as server-sent events; /asyncapi.json describes them",
            "",
            vec![parameter("sensor"), json!({
                "name": "from", "in": "query", "schema": { "type": "string", "default": "now" },
                "description": "`now`, `latest`, or a position. `Last-Event-ID` takes precedence."
            })],
            refusals(&[("400", "Malformed"), ("403", "ForeignOrigin"), ("429", "TooMany"), ("503", "NotNow")]),
            ("200", json!({
                "description": "Events.",
                "content": { "text/event-stream": { "schema": { "type": "string" } } }
            })),
        )
    })
}

fn document(id: &str, summary: &str) -> Value {
    json!({ "get": operation(
        (GATEWAY, id),
        summary,
        "",
        Vec::new(),
        refusals(&[("304", "NotModified"), ("403", "ForeignOrigin")]),
        ("200", json!({
            "description": "The document.",
            "headers": { "ETag": etag() },
            "content": { "application/json": { "schema": { "type": "object" } } }
        })),
    )})
}
