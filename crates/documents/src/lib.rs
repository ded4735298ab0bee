//! What the services serve, as an OpenAPI and an AsyncAPI document made from the wire's own schemas.
//!
//! The services' tests hold their routes against it, so a path or a parameter is in both or in neither.

mod api;
mod asyncapi;
mod json;
mod openapi;
mod security;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

pub use self::{
    api::{GATEWAY, INGEST},
    asyncapi::next_word,
};

/// The HTTP of both services, OpenAPI 3.1.
pub fn openapi() -> String {
    openapi_under("")
}

/// The same where its paths lie below a prefix, if that is not empty.
pub fn openapi_under(prefix: &str) -> String {
    let mut document = openapi::document();
    if !prefix.is_empty() {
        document["servers"] = json!([{ "url": prefix }]);
    }
    text(&document)
}

/// The sockets and the event stream, AsyncAPI 3.0.
pub fn asyncapi() -> String {
    asyncapi_under("")
}

/// The same where its addresses lie below a prefix.
pub fn asyncapi_under(prefix: &str) -> String {
    let mut document = asyncapi::document();
    for channel in document["channels"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        let address = format!("{prefix}{}", channel["address"].as_str().unwrap_or_default());
        channel["address"] = address.into();
    }
    text(&document)
}

/// The paths of a service, with those that are other names of them.
pub fn paths(service: &str) -> BTreeSet<String> {
    let document = openapi::document();
    let paths = document["paths"].as_object().into_iter().flatten();
    let own = paths.filter(|(_, item)| operations(item).any(|operation| operation["tags"][0] == service));
    own.flat_map(|(path, item)| {
        let aliases = item["x-aliases"].as_array().into_iter().flatten().filter_map(Value::as_str);
        std::iter::once(path.as_str()).chain(aliases).map(str::to_owned).collect::<Vec<_>>()
    })
    .collect()
}

fn operations(item: &Value) -> impl Iterator<Item = &Value> {
    let members = item.as_object().into_iter().flatten();
    members.filter(|(name, _)| matches!(name.as_str(), "get" | "post")).map(|(_, operation)| operation)
}

fn text(document: &Value) -> String {
    format!("{document:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `$ref` of a document, and whether it leads somewhere.
    #[track_caller]
    fn check_references(document: &Value, inside: &Value) {
        match inside {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
                }
                members.values().for_each(|member| check_references(document, member));
            }
            Value::Array(items) => items.iter().for_each(|item| check_references(document, item)),
            _ => {}
        }
    }

    #[test]
    fn a_prefix_is_in_the_servers_and_the_addresses() {
        let [openapi, asyncapi] = [openapi_under("/rowcast"), asyncapi_under("/rowcast")]
            .map(|document| serde_json::from_str::<Value>(&document).unwrap());
        assert_eq!(openapi["servers"], json!([{ "url": "/rowcast" }]));
        assert_eq!(asyncapi["channels"]["socket"]["address"], "/rowcast/ws/sensors/");
        assert_eq!(asyncapi["channels"]["events"]["address"], "/rowcast/sse/sensors/");
    }

    #[test]
    fn every_reference_leads_somewhere() {
        for document in [openapi(), asyncapi()] {
            let document: Value = serde_json::from_str(&document).unwrap();
            check_references(&document, &document);
        }
    }

    #[test]
    fn every_operation_has_an_id_of_its_own_a_summary_and_a_success() {
        let document = openapi::document();
        let mut ids = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for operation in operations(item) {
                assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{path}");
                assert!(operation["summary"].is_string(), "{path}");
                let codes = operation["responses"].as_object().unwrap();
                assert!(codes.keys().any(|code| code.starts_with('2') || code == "101"), "{path}");
            }
        }
        assert_eq!(ids.len(), 19);
    }

    #[test]
    fn every_operation_but_the_public_ones_names_credentials_and_their_refusals() {
        let document = openapi::document();
        let schemes = document["components"]["securitySchemes"].as_object().unwrap();
        for (path, item) in document["paths"].as_object().unwrap() {
            for operation in operations(item) {
                let security = operation["security"].as_array().into_iter().flatten();
                let named: BTreeSet<_> = security.flat_map(|one| one.as_object().unwrap().keys()).collect();
                let is_guarded = !security::PUBLIC.contains(&path.as_str());
                let takes_tickets = path.starts_with("/ws/") || path.starts_with("/sse/");
                let expected =
                    schemes.keys().filter(|name| is_guarded && (takes_tickets || *name != "ticket"));
                assert_eq!(named, expected.collect(), "{path}");
                assert_eq!(operation["responses"]["401"].is_object(), is_guarded, "{path}");
                assert!(!is_guarded || operation["responses"]["403"].is_object(), "{path}");
            }
        }
    }

    #[test]
    fn a_service_s_paths_are_those_of_its_tag_with_their_other_names() {
        assert_eq!(paths(INGEST).len(), 10);
        assert!(paths(GATEWAY).contains("/ws/sensor-readings"));
        assert!(!paths(GATEWAY).contains("/api/sensors/"));
    }
}
