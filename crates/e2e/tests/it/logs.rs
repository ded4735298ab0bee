//! The logs: no secrets, the caller's trace, a level that a file changes.

use std::time::Duration;

use e2e::{
    Plan, Stack, client, http,
    stack::{Running, all_at, borrowed},
};
use testkit::{Postgres, proxy::LinkState, wait_for};

const SOON: Duration = Duration::from_secs(20);
const ONE: Plan = Plan { gateways: 1, listeners: 1 };

/// What no line may show: a secret of the configuration, a body, or what a client sends beside it.
const PLANTED: &str = "planted-4f1d";

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Waits for a line with this message, and returns it.
async fn line(service: &Running, message: &str) -> serde_json::Value {
    wait_for(message, SOON, || async {
        let output = service.process.output();
        let mut lines = output.lines().rev().filter_map(|line| serde_json::from_str(line).ok());
        lines.find(|line: &serde_json::Value| line["message"] == message).ok_or(output)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_shows_a_secret_or_a_body() {
    let postgres = Postgres::start().unwrap();
    let database = postgres.url("postgres").replace("postgres@", &format!("postgres:{PLANTED}@"));
    let authorization = format!("authorization=Bearer {PLANTED}");
    let mut env: Vec<(String, &str)> = Vec::new();
    for service in ["ingest", "ws-gateway", "notify-listener"] {
        env.push((format!("{service}:ROWCAST_LOG__LEVEL"), "trace"));
        env.push((format!("{service}:OTEL_EXPORTER_OTLP_ENDPOINT"), "http://127.0.0.1:1"));
        env.push((format!("{service}:OTEL_EXPORTER_OTLP_HEADERS"), &authorization));
        env.push((format!("{service}:ROWCAST_REDIS__USER"), "default"));
        env.push((format!("{service}:ROWCAST_REDIS__PASSWORD"), PLANTED));
    }
    let at = all_at(&database);
    let env: Vec<_> = env.iter().map(|(key, value)| (key.as_str(), *value)).chain(borrowed(&at)).collect();
    let mut stack = Stack::start_on(postgres, None, ONE, &env).await.unwrap();
    let (ingest, gateway) = (stack.ingest.public(), stack.gateways[0].public());

    let headers = [
        ("content-type", "application/json"),
        ("authorization", PLANTED),
        ("cookie", PLANTED),
        ("traceparent", TRACEPARENT),
    ];
    for (body, status) in [
        (format!(r#"{{"sensor_id":"a","value":1,"metadata":{{"note":"{PLANTED}"}}}}"#), 201),
        (format!(r#"{{"sensor_id":"a","value":"{PLANTED}"}}"#), 400),
        (format!(r#"{{"{PLANTED}"#), 400),
    ] {
        let answer = http::send(ingest, "POST", "/api/sensors/", &headers, body.as_bytes()).await.unwrap();
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    // the parser of line protocol logs what it refuses by itself
    let lines = format!("a value=1\na value={PLANTED}\n{PLANTED}\n");
    let answer = http::post(ingest, "/api/v2/write", &lines).await.unwrap();
    assert_eq!(answer.status, 400, "{}", answer.body);
    let mut socket = client::connect_v1(gateway).await.unwrap();
    client::send(&mut socket, &format!(r#"{{"auth":{{"token":"{PLANTED}"}}}}"#)).await;
    client::send(&mut socket, &format!(r#"{{"{PLANTED}":1}}"#)).await;
    client::next_messages(&mut socket).await.unwrap();
    drop(socket);
    // a line of the level that is written for details only
    line(&stack.gateways[0], "lost").await;
    let history = format!("/api/sensors/history/?from={PLANTED}&token={PLANTED}");
    http::send(gateway, "GET", &history, &headers, b"").await.unwrap();
    // errors with all that they know
    stack.postgres.crash_and_start().unwrap();
    stack.redis.crash_and_start().unwrap();
    stack.await_ready().await;

    for service in stack.services() {
        let output = service.process.output();
        let shown: Vec<_> = output.lines().filter(|line| line.contains(PLANTED)).collect();
        assert!(shown.is_empty(), "{shown:#?}");
    }
}

/// A line that is written while a request is served.
async fn check_trace(env: &[(&str, &str)]) {
    let stack = Stack::start_with(ONE, env).await.unwrap();
    stack.ingest.to_postgres.set(LinkState::Cut);
    let headers = [("traceparent", TRACEPARENT)];
    let path = "/api/sensors/?limit=1";
    let answer = http::send(stack.ingest.public(), "GET", path, &headers, b"").await.unwrap();
    assert_eq!(answer.status, 503);
    let line = line(&stack.ingest, "cannot read the list of readings").await;
    assert_eq!(line["trace_id"], TRACE, "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_about_a_request_carries_its_trace_with_and_without_an_exporter() {
    check_trace(&[]).await;
    check_trace(&[("ingest:OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")]).await;
    let http = ("ingest:OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    check_trace(&[("ingest:OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"), http]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_trace_is_stored_with_a_reading_though_nothing_is_exported() {
    let stack = Stack::start(ONE).await.unwrap();
    let body = br#"{"sensor_id":"a","value":1}"#;
    let json = ("content-type", "application/json");
    let invalid = ("traceparent", "00-00000000000000000000000000000000-0000000000000000-01");
    for headers in [&[json, ("traceparent", TRACEPARENT)][..], &[json], &[json, invalid]] {
        let answer = http::send(stack.ingest.public(), "POST", "/api/sensors/", headers, body).await.unwrap();
        assert_eq!(answer.status, 201);
    }
    let stored = stack.psql("select coalesce(traceparent, 'none') from sensor_readings order by id");
    assert_eq!(stored, format!("{TRACEPARENT}\nnone\nnone"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_changes_the_level_of_a_running_service() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("level");
    let file_name = file.to_str().unwrap();
    let stack = Stack::start_with(ONE, &[("ws-gateway:ROWCAST_LOG__LEVEL_FILE", file_name)]).await.unwrap();
    let gateway = &stack.gateways[0];
    drop(client::connect_v1(gateway.public()).await.unwrap());
    std::fs::write(&file, "info,ws_gateway=debug\n").unwrap();
    assert_eq!(line(gateway, "log level changed").await["filter"], "info,ws_gateway=debug");
    let details = || gateway.process.output().matches("\"DEBUG\"").count();
    assert_eq!(details(), 0);
    drop(client::connect_v1(gateway.public()).await.unwrap());
    line(gateway, "lost").await;
    assert_eq!(details(), 1, "only the second connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_the_exporters_variables_are_told_and_the_service_runs() {
    let env = [
        ("ingest:OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("ingest:OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("ingest:OTEL_TRACES_SAMPLER", "xray"),
    ];
    let stack = Stack::start_with(ONE, &env).await.unwrap();
    let line = line(&stack.ingest, "traces are off").await;
    let error = line["error"].as_str().unwrap();
    for variable in ["OTLP_ENDPOINT must", "OTLP_PROTOCOL must", "OTEL_TRACES_SAMPLER must"] {
        assert!(error.contains(variable), "{error}");
    }
}
