//! What `ingest` serves.

use serde_json::{Value, json};

use super::parts::{operation, parameter, refusals, schema};
use crate::{api::INGEST, json::members};

pub(super) fn paths() -> Value {
    members([(
        "/api/sensors/",
        json!({
            "x-aliases": ["/api/sensors", "/api/v1/sensors-readings/", "/api/v1/sensors-readings"],
            "get": list(),
            "post": post()
        }),
    )])
}

fn list() -> Value {
    operation(
        (INGEST, "listNewest"),
        "The newest readings, a bare array as the demo had it",
        "",
        vec![
            json!({
                "name": "sensor_id", "in": "query", "description": "Of this sensor alone.",
                "schema": { "type": "string" }
            }),
            json!({
                "name": "limit", "in": "query", "description": "More than 1000 is 1000.",
                "schema": { "type": "integer", "minimum": 0, "default": 100 }
            }),
        ],
        refusals(&[("400", "Malformed"), ("503", "NotNow")]),
        (
            "200",
            json!({
                "description": "Newest first.",
                "content": { "application/json": { "schema": { "type": "array", "items": schema("Reading") } } }
            }),
        ),
    )
}

fn post() -> Value {
    let one_or_many = json!({ "oneOf": [
        schema("NewReading"),
        { "type": "array", "items": schema("NewReading"), "maxItems": 1000 }
    ]});
    let mut post = operation(
        (INGEST, "storeReadings"),
        "Stores a reading, or up to 1000 of them, all or none",
        "201 follows the commit: what is stored survives a crash.",
        vec![
            json!({
                "name": "precision", "in": "query",
                "description": "What numbers count that stand for a time. Absent, their size tells: seconds below 10^11, \
                    milliseconds below 10^14, microseconds below 10^17, else nanoseconds.",
                "schema": { "enum": ["ns", "us", "ms", "s"] }
            }),
            json!({
                "name": "partial", "in": "query",
                "description": "With `1` the readings that are valid are stored although others are not: 207, with a result for each.",
                "schema": { "enum": ["0", "1"], "default": "0" }
            }),
            parameter("idempotencyKey"),
        ],
        refusals(&[
            ("400", "Malformed"),
            ("409", "KeyInUse"),
            ("413", "TooLarge"),
            ("415", "MediaType"),
            ("422", "KeyReused"),
            ("503", "NotNow"),
        ]),
        (
            "201",
            json!({
                "description": "Committed.",
                "content": { "application/json": {
                    "schema": { "oneOf": [schema("Stored"), schema("StoredMany")] }
                } }
            }),
        ),
    );
    post["responses"]["207"] = json!({
        "description": "With `partial=1`: what became of each reading, in the order given.",
        "content": { "application/json": { "schema": schema("StoredEach") } }
    });
    post["requestBody"] = json!({
        "required": true,
        "description": "At most 64 KiB for one, 1 MiB for several; gzip and zstd are accepted, and the limits apply to the decoded body.",
        "content": {
            "application/json": { "schema": one_or_many },
            "application/x-ndjson": { "schema": schema("NewReading") }
        }
    });
    post
}
