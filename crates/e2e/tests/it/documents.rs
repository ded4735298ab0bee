//! The OpenAPI document, compared with both services.

use e2e::{Plan, Stack, http};
use serde_json::Value;

/// Each operation of the document, at the service that its tag names: served, with the members that its schema requires.
#[tokio::test(flavor = "multi_thread")]
async fn the_services_behave_as_documented() {
    let hook = ("ingest:ROWCAST_HOOKS__SHELLY__PRESET", "shelly");
    let stack = Stack::start_with(Plan { gateways: 1, listeners: 1 }, &[hook]).await.unwrap();
    let gateway = stack.gateways[0].public();
    stack.psql(
        r#"insert into sensor_readings (sensor_id, value, "timestamp") values ('s1', 1, '2026-01-01 12:00:00+00')"#,
    );
    let openapi = http::get(gateway, "/openapi.json").await.unwrap().json();
    assert_eq!(openapi["openapi"], "3.1.0");
    let asyncapi = http::get(gateway, "/asyncapi.json").await.unwrap().json();
    assert_eq!(asyncapi["asyncapi"], "3.0.0");
    for (path, item) in openapi["paths"].as_object().unwrap() {
        let aliases = item["x-aliases"].as_array().into_iter().flatten().map(|alias| alias.as_str().unwrap());
        for path in std::iter::once(path.as_str()).chain(aliases) {
            for method in ["get", "post"] {
                let Some(operation) = item.get(method) else { continue };
                let service = if operation["tags"][0] == "ingest" { stack.ingest.public() } else { gateway };
                // an event stream does not end
                let query = if path.starts_with("/sse/") { "?from=nowhere" } else { "" };
                let at = path.replace("{sensor_id}", "s1").replace("{name}", "shelly") + query;
                let answer = http::send(service, &method.to_uppercase(), &at, &[], b"").await.unwrap();
                let status = answer.status.to_string();
                assert!(!["404", "405"].contains(&status.as_str()), "{method} {path}: {status}");
                assert!(
                    operation["responses"].get(&status).is_some(),
                    "{method} {path}: {status} is not documented"
                );
            }
        }
    }
    let schema = |name: &str| &openapi["components"]["schemas"][name];
    let buckets = "/api/readings?bucket=1m&sensor=s1&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z";
    for (path, name, list, row) in [
        ("/api/readings", "Readings", "readings", "Reading"),
        (buckets, "Buckets", "buckets", "Bucket"),
        ("/api/latest", "Latest", "readings", "Reading"),
        ("/api/sensors/s1", "Sensor", "", ""),
        ("/api/readings?x=1", "Problem", "errors", "Fault"),
    ] {
        let answer = http::get(gateway, path).await.unwrap().json();
        check_members(&answer, schema(name), path);
        if !list.is_empty() {
            check_members(&answer[list][0], schema(row), path);
        }
    }
}

/// An object has what its schema requires, and no member that is not in it.
#[track_caller]
fn check_members(object: &Value, schema: &Value, what: &str) {
    let own: Vec<&String> = object.as_object().unwrap().keys().collect();
    let properties = schema["properties"].as_object().unwrap();
    for required in schema["required"].as_array().unwrap() {
        assert!(own.iter().any(|name| *name == required.as_str().unwrap()), "{what}: {required} is missing");
    }
    assert!(own.iter().all(|name| properties.contains_key(*name)), "{what}: {own:?}");
}
