//! What `ingest` serves to senders that have a format of their own.

use serde_json::{Value, json};

use super::parts::{operation, refusals};
use crate::{api::INGEST, json::members};

pub(super) fn paths() -> Value {
    members([("/hooks/{name}", json!({ "get": take(Method::Get), "post": take(Method::Post) }))])
}

#[derive(Clone, Copy)]
enum Method {
    Get,
    Post,
}

fn take(method: Method) -> Value {
    let (id, summary, refused): (_, _, &[(&str, &str)]) = match method {
        Method::Get => (
            "takeHookQuery",
            "Stores what a webhook says in its query",
            &[("400", "Malformed"), ("403", "Unsigned"), ("404", "NotFound"), ("503", "NotNow")],
        ),
        Method::Post => (
            "takeHook",
            "Stores what a webhook says",
            &[
                ("400", "Malformed"),
                ("403", "Unsigned"),
                ("404", "NotFound"),
                ("413", "TooLarge"),
                ("415", "Coding"),
                ("503", "NotNow"),
            ],
        ),
    };
    let name = json!({
        "name": "name", "in": "path", "required": true, "description": "That of a hook of the configuration.",
        "schema": { "type": "string" }
    });
    let mut take = operation(
        (INGEST, id),
        summary,
        "What is where in a payload is the configuration's `hooks.<name>`. All values of a request are stored, or none.",
        vec![name],
        refusals(refused),
        ("204", json!({ "description": "All of it is committed, or it says nothing that is to be stored." })),
    );
    if matches!(method, Method::Post) {
        take["requestBody"] = json!({
            "required": true,
            "description": "A payload of at most 64 KiB, or an array of up to 1000 of them in 1 MiB, whatever its content type. \
                gzip and zstd are accepted, but not of a sender that signs.",
            "content": { "application/json": { "schema": {} } }
        });
    }
    take
}
