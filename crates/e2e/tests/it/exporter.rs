//! Spans reach a collector over each transport, named and sampled by the standards.

use std::fs;

use e2e::{Plan, Stack, http};
use tempfile::TempDir;
use testkit::{Jaeger, proxy::LinkState};

use crate::traces::{caller, one, post, spans, tag};

const ONE: Plan = Plan { gateways: 1, listeners: 1 };
const POST: &str = "POST /api/sensors/";

/// Services whose ingest exports at once, with these variables (`OTEL_` before each).
async fn exporting(variables: &[(&str, &str)]) -> Stack {
    let mut env = vec![("ingest:OTEL_BSP_SCHEDULE_DELAY".to_owned(), "100")];
    env.extend(variables.iter().map(|(name, value)| (format!("ingest:OTEL_{name}"), *value)));
    let env: Vec<(&str, &str)> = env.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    Stack::start_with(ONE, &env).await.unwrap()
}

/// A span of ingest arrives.
async fn check(jaeger: &Jaeger, variables: &[(&str, &str)]) {
    let stack = exporting(variables).await;
    let (trace, context) = caller(1);
    post(stack.ingest.public(), "a", &context).await;
    spans(jaeger, &trace, &[(POST, 1)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_arrive_over_http_and_by_tls() {
    let jaeger = Jaeger::start().unwrap();
    let http = ("EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    check(&jaeger, &[("EXPORTER_OTLP_ENDPOINT", &jaeger.otlp_http()), http]).await;

    let folder = TempDir::with_prefix("rowcast-tls-").unwrap();
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let [certificate, key] = ["ca.pem", "key.pem"].map(|name| folder.path().join(name));
    fs::write(&certificate, signed.cert.pem()).unwrap();
    fs::write(&key, signed.signing_key.serialize_pem()).unwrap();
    let jaeger = Jaeger::start_with_tls(&certificate, &key).unwrap();
    let trusted = ("EXPORTER_OTLP_CERTIFICATE", certificate.to_str().unwrap());
    check(&jaeger, &[("EXPORTER_OTLP_ENDPOINT", &jaeger.otlp_grpc()), trusted]).await;
    let jaeger = Jaeger::start_with_tls(&certificate, &key).unwrap();
    check(&jaeger, &[("EXPORTER_OTLP_ENDPOINT", &jaeger.otlp_http()), trusted, http]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_s_span_has_the_names_of_the_conventions_and_a_5xx_is_an_error() {
    let jaeger = Jaeger::start().unwrap();
    let stack = exporting(&[("EXPORTER_OTLP_ENDPOINT", &jaeger.otlp_grpc())]).await;
    let (trace, context) = caller(1);
    post(stack.ingest.public(), "a", &context).await;
    stack.ingest.to_postgres.set(LinkState::Cut);
    let headers = [("traceparent", context.as_str())];
    let list = http::send(stack.ingest.public(), "GET", "/api/sensors/?limit=1", &headers, b"");
    assert_eq!(list.await.unwrap().status, 503);
    let spans = spans(&jaeger, &trace, &[(POST, 1), ("GET /api/sensors/", 1)]).await;
    let (post, get) = (one(&spans, POST), one(&spans, "GET /api/sensors/"));
    for (span, key, value) in [
        (post, "http.request.method", "POST".into()),
        (post, "http.route", "/api/sensors/".into()),
        (post, "client.address", "127.0.0.1".into()),
        (post, "http.response.status_code", 201.into()),
        (post, "span.kind", "server".into()),
        (post, "url.path", "/api/sensors/".into()),
        (post, "error", serde_json::Value::Null),
        (get, "http.response.status_code", 503.into()),
        (get, "error.type", "503".into()),
        (get, "error", true.into()),
    ] {
        assert_eq!(*tag(span, key), value, "{key}: {span}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_s_decision_goes_before_the_ratio() {
    let jaeger = Jaeger::start().unwrap();
    let sampler = [
        ("EXPORTER_OTLP_ENDPOINT", &*jaeger.otlp_grpc()),
        ("TRACES_SAMPLER", "parentbased_traceidratio"),
        ("TRACES_SAMPLER_ARG", "0"),
    ];
    let stack = exporting(&sampler).await;
    let (trace, context) = caller(1);
    let json = ("content-type", "application/json");
    let body = br#"{"sensor_id":"a","value":1}"#;
    let answer = http::send(stack.ingest.public(), "POST", "/api/sensors/", &[json], body).await.unwrap();
    assert_eq!(answer.status, 201);
    post(stack.ingest.public(), "a", &context).await;
    spans(&jaeger, &trace, &[(POST, 1)]).await;
    let all = http::get(jaeger.api(), "/api/traces?service=ingest").await.unwrap().json();
    assert_eq!(all["data"].as_array().unwrap().len(), 1, "only the trace that its caller records");
    let stored =
        stack.psql("select coalesce(right(traceparent, 2), 'none') from sensor_readings order by id");
    assert_eq!(stored, "00\n01");
}
