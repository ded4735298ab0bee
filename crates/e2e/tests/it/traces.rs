//! One trace from POST to socket, as Jaeger has it.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use e2e::{Plan, Stack, client, http, session::Session};
use serde_json::Value;
use testkit::{Jaeger, wait_for};

pub(super) const SOON: Duration = Duration::from_secs(20);

/// What a request of one reading takes of ingest's queue: its own share, that of a reading, the sensor and `{}`.
const REQUEST_BYTES: f64 = 512.0 + 64.0 + 3.0 + 2.0;

/// A context of a caller that records its trace.
pub(super) fn caller(trace: u64) -> (String, String) {
    let trace = format!("{:032x}", 0xa1b2_0000_0000_0000_0000_0000_0000_0000_u128 + u128::from(trace));
    let context = format!("00-{trace}-00f067aa0ba902b7-01");
    (trace, context)
}

/// Services that export to a Jaeger every span as soon as it ends.
async fn traced(jaeger: &Jaeger) -> Stack {
    let endpoint = jaeger.otlp_grpc();
    let mut env = vec![("ingest:ROWCAST_INGEST__LANES".to_owned(), "2".to_owned())];
    for service in ["ingest", "notify-listener", "ws-gateway"] {
        env.push((format!("{service}:OTEL_EXPORTER_OTLP_ENDPOINT"), endpoint.clone()));
        env.push((format!("{service}:OTEL_BSP_SCHEDULE_DELAY"), "100".to_owned()));
    }
    let env: Vec<(&str, &str)> = env.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    Stack::start_with(Plan { gateways: 2, listeners: 1 }, &env).await.unwrap()
}

/// POSTs a reading within a trace.
pub(super) async fn post(ingest: SocketAddr, sensor: &str, context: &str) {
    let body = format!(r#"{{"sensor_id":"{sensor}","value":1}}"#);
    let headers = [("content-type", "application/json"), ("traceparent", context)];
    let answer = http::send(ingest, "POST", "/api/sensors/", &headers, body.as_bytes());
    assert_eq!(answer.await.unwrap().status, 201);
}

/// The spans of a trace, once it has as many as expected of each name.
pub(super) async fn spans(jaeger: &Jaeger, trace: &str, expected: &[(&str, usize)]) -> Vec<Value> {
    wait_for("the spans of a trace", SOON, async || {
        let answer = http::get(jaeger.api(), &format!("/api/traces/{trace}")).await;
        let answer = answer.map_err(|error| format!("{error:#}"))?.json();
        let spans = answer["data"][0]["spans"].as_array().cloned().unwrap_or_default();
        let names: Vec<&str> = spans.iter().filter_map(|span| span["operationName"].as_str()).collect();
        for (name, count) in expected {
            if names.iter().filter(|found| *found == name).count() != *count {
                return Err(format!("{names:?}, not {count} of {name}"));
            }
        }
        Ok(())
    })
    .await;
    let answer = http::get(jaeger.api(), &format!("/api/traces/{trace}")).await.unwrap().json();
    answer["data"][0]["spans"].as_array().cloned().unwrap_or_default()
}

/// The value of a span's tag.
pub(super) fn tag<'a>(span: &'a Value, key: &str) -> &'a Value {
    let tags = span["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    tags.iter().find(|tag| tag["key"] == key).map_or(&Value::Null, |tag| &tag["value"])
}

pub(super) fn one<'a>(spans: &'a [Value], name: &str) -> &'a Value {
    spans.iter().find(|span| span["operationName"] == name).unwrap_or_else(|| panic!("no {name}"))
}

/// The id of a span's parent in the same trace.
fn parent(span: &Value) -> &str {
    let references = span["references"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of = references.iter().find(|reference| reference["refType"] == "CHILD_OF");
    of.and_then(|reference| reference["spanID"].as_str()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_a_post_to_the_sockets_of_two_gateways() {
    let jaeger = Jaeger::start().unwrap();
    let stack = traced(&jaeger).await;
    let mut sockets = Vec::new();
    for gateway in &stack.gateways {
        sockets.push(client::subscribed(gateway.public(), r#"{"trace":true}"#).await.0);
    }
    let (trace, context) = caller(1);
    post(stack.ingest.public(), "traced", &context).await;
    for socket in &mut sockets {
        let messages = client::messages_until(socket, |message| message.data.is_some()).await;
        let event = messages.into_iter().find(|message| message.data.is_some()).unwrap();
        let carried = event.traceparent.unwrap();
        assert_eq!(carried[3..35], trace, "the event carries the trace of its POST");
        assert_ne!(carried, context, "and in it the span of the POST");
    }

    let expected = [
        ("POST /api/sensors/", 1),
        ("INSERT sensor_readings", 1),
        ("tick", 1),
        ("send stream", 1),
        ("process stream", 2),
    ];
    let spans = spans(&jaeger, &trace, &expected).await;
    let [post, insert, tick, send] =
        ["POST /api/sensors/", "INSERT sensor_readings", "tick", "send stream"].map(|name| one(&spans, name));
    assert_eq!(parent(post), "00f067aa0ba902b7", "the caller's span");
    for (span, above) in [(insert, post), (tick, post), (send, tick)] {
        assert_eq!(parent(span), above["spanID"], "{}", span["operationName"]);
    }
    for process in spans.iter().filter(|span| span["operationName"] == "process stream") {
        assert_eq!(parent(process), send["spanID"]);
        let written = &process["logs"][0]["fields"];
        assert!(written.to_string().contains("written"), "it ends with the write to the socket: {process}");
    }
    for (span, key, value) in [
        (insert, "db.system.name", "postgresql"),
        (insert, "db.operation.name", "INSERT"),
        (insert, "span.kind", "client"),
        (send, "messaging.system", "redis"),
        (send, "messaging.operation.type", "send"),
        (send, "span.kind", "producer"),
    ] {
        assert_eq!(tag(span, key), value, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_requests_of_one_insert_are_linked_by_it() {
    let jaeger = Jaeger::start().unwrap();
    let stack = traced(&jaeger).await;
    // while the INSERTs of both lanes wait for the lock, the requests behind them gather for the next
    let mut session = Session::begin(&stack).unwrap();
    session.run("lock table sensor_readings in exclusive mode;").unwrap();
    wait_for("the lock", SOON, async || {
        let held = "select count(*) from pg_locks
                     where granted and mode = 'ExclusiveLock' and relation = 'sensor_readings'::regclass";
        if stack.psql(held).trim() == "1" { Ok(()) } else { Err("not held") }
    })
    .await;
    let mut requests = tokio::task::JoinSet::new();
    let request = |number: u64| {
        let (ingest, (_, context)) = (stack.ingest.public(), caller(number));
        async move { post(ingest, "one", &context).await }
    };
    for busy in [1.0, 2.0] {
        requests.spawn(request(200 + busy as u64));
        let lanes = async || stack.ingest.metric("rowcast_ingest_lanes_busy").await;
        let is_busy = async || match lanes().await {
            Ok(lanes) if lanes == busy => Ok(()),
            other => Err(other),
        };
        wait_for("an INSERT that waits for the lock", SOON, is_busy).await;
    }
    (1..=100).for_each(|number| {
        requests.spawn(request(number));
    });
    wait_for("all requests in the queue", SOON, async || {
        match stack.ingest.metric("rowcast_ingest_queue_bytes").await {
            Ok(bytes) if bytes >= 102.0 * REQUEST_BYTES => Ok(()),
            other => Err(other),
        }
    })
    .await;
    session.commit().unwrap();
    requests.join_all().await;

    let mut linked = Vec::new();
    for number in 1..=100 {
        let (trace, _) = caller(number);
        let spans = spans(&jaeger, &trace, &[("POST /api/sensors/", 1)]).await;
        let inserts = spans.iter().filter(|span| span["operationName"] == "INSERT sensor_readings");
        linked.extend(inserts.map(|insert| (trace.clone(), insert.clone())));
    }
    let [(own, insert)] = &linked[..] else { panic!("{} INSERTs", linked.len()) };
    assert_eq!(tag(insert, "db.operation.batch.size"), 100);
    let references = insert["references"].as_array().unwrap();
    let others: BTreeSet<&str> = references
        .iter()
        .filter_map(|reference| reference["traceID"].as_str())
        .filter(|trace| trace != own)
        .collect();
    assert_eq!(others.len(), 99, "a link to the trace of each other request");
}
