//! How a client says who it is, in both documents.

use serde_json::{Map, Value, json};

use crate::json::members;

/// What anybody may ask for, whether or not authentication is enabled.
pub(crate) const PUBLIC: [&str; 4] = ["/ping", "/health", "/openapi.json", "/asyncapi.json"];

const SCHEMES: [&str; 3] = ["bearer", "apiKey", "basic"];

/// What the live doors take beside them.
const TICKET: &str = "ticket";

const BEARER: &str = "A device key or a token of an issuer: `Authorization: Bearer …`, or `Token …`.";
const API_KEY: &str = "The same, for clients that cannot set `Authorization`.";
const BASIC: &str =
    "A device key's id and secret, or the whole key as the password and anything as the user.";

const OF_TICKET: &str = "A ticket of `POST /api/tickets`, used once, for clients that cannot set headers.";

/// The schemes of OpenAPI.
pub(crate) fn schemes() -> Value {
    members([
        ("bearer", json!({ "type": "http", "scheme": "bearer", "description": BEARER })),
        ("apiKey", json!({ "type": "apiKey", "in": "header", "name": "X-API-Key", "description": API_KEY })),
        ("basic", json!({ "type": "http", "scheme": "basic", "description": BASIC })),
        (TICKET, json!({ "type": "apiKey", "in": "query", "name": "ticket", "description": OF_TICKET })),
    ])
}

/// The same in AsyncAPI, whose type of keys in a header of HTTP has another name.
pub(crate) fn socket_schemes() -> Value {
    let mut schemes = schemes();
    for name in ["apiKey", TICKET] {
        schemes[name]["type"] = "httpApiKey".into();
    }
    schemes
}

/// Any one of them, for an operation of AsyncAPI.
pub(crate) fn of_channel() -> Value {
    let names = SCHEMES.into_iter().chain([TICKET]);
    names.map(|name| json!({ "$ref": format!("#/components/securitySchemes/{name}") })).collect()
}

/// Gives every operation that asks for a credential its schemes and its refusals, unless it has refusals of its own.
pub(crate) fn guard(paths: &mut Map<String, Value>) {
    let guarded = paths.iter_mut().filter(|(path, _)| !PUBLIC.contains(&path.as_str()));
    for (path, item) in guarded.filter_map(|(path, item)| Some((path, item.as_object_mut()?))) {
        let is_live = path.starts_with("/ws/") || path.starts_with("/sse/");
        let operations = item.iter_mut().filter(|(name, _)| matches!(name.as_str(), "get" | "post"));
        for (_, operation) in operations {
            operation["security"] = any(is_live);
            let Some(responses) = operation["responses"].as_object_mut() else { continue };
            for (status, name) in [("401", "Unauthenticated"), ("403", "Forbidden")] {
                let response = || json!({ "$ref": format!("#/components/responses/{name}") });
                responses.entry(status).or_insert_with(response);
            }
        }
    }
}

/// Any one of them, or none where authentication is not enabled or the anonymous may do this.
fn any(is_live: bool) -> Value {
    let names = SCHEMES.into_iter().chain(is_live.then_some(TICKET));
    names.map(|name| members([(name, json!([]))])).chain([json!({})]).collect()
}
