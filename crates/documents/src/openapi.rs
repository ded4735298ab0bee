//! The OpenAPI document.

mod gateway;
mod hooks;
mod influx;
mod ingest;
mod parts;

use serde_json::{Value, json};

use crate::{
    api::{GATEWAY, INGEST, VERSION},
    security,
};

pub(crate) fn document() -> Value {
    let mut paths = gateway::paths();
    for more in [ingest::paths(), influx::paths(), hooks::paths()] {
        if let (Some(paths), Value::Object(more)) = (paths.as_object_mut(), more) {
            paths.extend(more);
        }
    }
    if let Some(paths) = paths.as_object_mut() {
        security::guard(paths);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Rowcast",
            "version": VERSION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "description": "Rows from Postgres to every live client: readings in, readings out, and their history. \
                /asyncapi.json describes the sockets and the event stream. \
                Where the two services have addresses of their own, send each operation to the one that its tag names."
        },
        "tags": [
            { "name": GATEWAY, "description": "Reads" },
            { "name": INGEST, "description": "Writes, and the demo's list" }
        ],
        "paths": paths,
        "components": {
            "schemas": parts::schemas(),
            "parameters": parts::parameters(),
            "responses": parts::responses(),
            "securitySchemes": security::schemes()
        }
    })
}
