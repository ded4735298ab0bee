//! What `ingest` serves to clients of InfluxDB.

use serde_json::{Map, Value, json};

use super::parts::{challenge, operation, parameter};
use crate::{api::INGEST, json::members};

pub(super) fn paths() -> Value {
    members([
        ("/api/v2/write", json!({ "post": write(Version::Two) })),
        ("/write", json!({ "post": write(Version::One) })),
        ("/query", json!({ "get": query("queryByGet"), "post": query("query") })),
        ("/ping", json!({ "get": ping() })),
        ("/health", json!({ "get": health() })),
    ])
}

const UNAUTHENTICATED: (&str, &str) = ("401", "There is no valid credential, and this needs one.");

/// Of InfluxDB.
#[derive(Clone, Copy)]
enum Version {
    One,
    Two,
}

fn write(version: Version) -> Value {
    let (id, summary, bucket, refusal) = match version {
        Version::One => (
            "writeLinesV1",
            "Stores line protocol, as the first version of InfluxDB takes it",
            "db",
            json!({ "type": "object", "required": ["error"], "properties": { "error": { "type": "string" } } }),
        ),
        Version::Two => (
            "writeLines",
            "Stores line protocol, as the second version of InfluxDB takes it",
            "bucket",
            json!({
                "type": "object", "required": ["code", "message"],
                "properties": { "code": { "type": "string" }, "message": { "type": "string" } }
            }),
        ),
    };
    let text = |name: &str, description: &str| json!({ "name": name, "in": "query", "description": description, "schema": { "type": "string" } });
    let mut write = operation(
        (INGEST, id),
        summary,
        "Each number and boolean of a line is a reading of its own sensor, whose id `ingest.influx_sensor` makes; tags and texts \
         are its metadata. The lines that are readings are stored together; of the others the answer names the first.",
        vec![
            text(bucket, "For `{bucket}` of the rule that makes the sensor's id."),
            text("org", "For `{org}` of that rule."),
            json!({
                "name": "precision", "in": "query", "description": "What timestamps count.",
                "schema": { "enum": ["ns", "n", "us", "u", "µ", "ms", "s", "m", "h"], "default": "ns" }
            }),
            parameter("idempotencyKey"),
        ],
        refusals(
            &refusal,
            &[
                (
                    "400",
                    "A line is no reading (`partial write`; the others are stored), or the request is malformed (nothing is).",
                ),
                UNAUTHENTICATED,
                ("403", "The credential may not write this."),
                ("405", "The method is not allowed."),
                (
                    "409",
                    "A request with this `Idempotency-Key` is being stored; come back after `Retry-After` seconds.",
                ),
                ("413", "More bytes or readings than one request may have."),
                ("415", "A content coding that is not known."),
                ("422", "This `Idempotency-Key` was used for another request."),
                ("503", "Not stored; to be repeated after `Retry-After` seconds."),
            ],
        ),
        ("204", json!({ "description": "All of it is committed." })),
    );
    write["requestBody"] = json!({
        "required": true,
        "description": "At most 1 MiB, 64 KiB a line, 10,000 numbers; gzip and zstd are accepted, and the limits apply to the decoded body.",
        "content": { "text/plain": { "schema": { "type": "string" }, "example": "weather,room=hall temperature=21.5 1795420800000000000" } }
    });
    write
}

fn refusals(shape: &Value, statuses: &[(&str, &str)]) -> Map<String, Value> {
    let refusal = |(status, description): &(&str, &str)| {
        let mut response =
            json!({ "description": description, "content": { "application/json": { "schema": shape } } });
        if *status == "401" {
            response["headers"] = challenge();
        }
        ((*status).to_owned(), response)
    };
    statuses.iter().map(refusal).collect()
}

fn query(id: &str) -> Value {
    let shape = json!({ "type": "object", "properties": { "error": { "type": "string" } } });
    operation(
        (INGEST, id),
        "Answers `CREATE DATABASE`, which clients of the first version send first",
        "Nothing is created, and nothing else is answered.",
        vec![
            json!({ "name": "q", "in": "query", "description": "The statement.", "schema": { "type": "string" } }),
        ],
        refusals(
            &shape,
            &[
                ("400", "Another statement."),
                UNAUTHENTICATED,
                ("403", "The credential may not write."),
                ("405", "The method is not allowed."),
            ],
        ),
        (
            "200",
            json!({ "description": "Done.", "content": { "application/json": { "schema": { "type": "object" } } } }),
        ),
    )
}

fn ping() -> Value {
    operation(
        (INGEST, "ping"),
        "Answers that it is there",
        "",
        Vec::new(),
        Map::new(),
        ("204", json!({ "description": "It is there." })),
    )
}

fn health() -> Value {
    operation(
        (INGEST, "health"),
        "Answers that it is there, as the second version of InfluxDB does",
        "Whether readings can be stored is told by `/readyz` at the admin port.",
        Vec::new(),
        Map::new(),
        (
            "200",
            json!({ "description": "It is there.", "content": { "application/json": { "schema": { "type": "object" } } } }),
        ),
    )
}
