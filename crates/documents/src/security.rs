//! How a client says who it is, in both documents.

use serde_json::{Map, Value, json};

use crate::json::members;

/// What anybody may ask for, whether or not authentication is enabled.
pub(crate) const PUBLIC: [&str; 4] = ["/ping", "/health", "/openapi.json", "/asyncapi.json"];

const SCHEMES: [&str; 3] = ["bearer", "apiKey", "basic"];

const BEARER: &str = "A device key or a token of an issuer: `Authorization: Bearer …`, or `Token …`.";
const API_KEY: &str = "The same, for clients that cannot set `Authorization`.";
const BASIC: &str =
    "A device key's id and secret, or the whole key as the password and anything as the user.";

/// The schemes of OpenAPI.
pub(crate) fn schemes() -> Value {
    members([
        ("bearer", json!({ "type": "http", "scheme": "bearer", "description": BEARER })),
        ("apiKey", json!({ "type": "apiKey", "in": "header", "name": "X-API-Key", "description": API_KEY })),
        ("basic", json!({ "type": "http", "scheme": "basic", "description": BASIC })),
    ])
}

/// The same in AsyncAPI, whose type of keys in a header of HTTP has another name.
pub(crate) fn socket_schemes() -> Value {
    let mut schemes = schemes();
    schemes["apiKey"]["type"] = "httpApiKey".into();
    schemes
}

/// Any one of them, for an operation of AsyncAPI.
pub(crate) fn of_channel() -> Value {
    SCHEMES.map(|name| json!({ "$ref": format!("#/components/securitySchemes/{name}") })).into()
}

/// Gives every operation that asks for a credential its schemes and its refusals, unless it has refusals of its own.
pub(crate) fn guard(paths: &mut Map<String, Value>) {
    let guarded = paths.iter_mut().filter(|(path, _)| !PUBLIC.contains(&path.as_str()));
    for item in guarded.filter_map(|(_, item)| item.as_object_mut()) {
        let operations = item.iter_mut().filter(|(name, _)| matches!(name.as_str(), "get" | "post"));
        for (_, operation) in operations {
            operation["security"] = any();
            let Some(responses) = operation["responses"].as_object_mut() else { continue };
            for (status, name) in [("401", "Unauthenticated"), ("403", "Forbidden")] {
                let response = || json!({ "$ref": format!("#/components/responses/{name}") });
                responses.entry(status).or_insert_with(response);
            }
        }
    }
}

/// Any one of them, or none where authentication is not enabled or the anonymous may do this.
fn any() -> Value {
    let schemes = SCHEMES.map(|name| members([(name, json!([]))]));
    schemes.into_iter().chain([json!({})]).collect()
}
