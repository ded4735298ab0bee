//! Lines for an ingest that fails at first, or refuses some.

use super::*;
use crate::args::Trust;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing};
use tokio::{net::TcpListener, task::JoinSet};

type Bodies = Arc<Mutex<Vec<String>>>;

/// An ingest that is overloaded for its first request, and refuses what holds `bad`.
async fn ingest(tasks: &mut JoinSet<std::io::Result<()>>) -> (String, Bodies) {
    let bodies = Bodies::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let post = |State(bodies): State<Bodies>, body: String| async move {
        let mut bodies = bodies.lock().unwrap();
        bodies.push(body.clone());
        if bodies.len() == 1 {
            return (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "0")], String::new()).into_response();
        }
        if body.contains("bad") {
            let problem =
                r#"{"title":"t","errors":[{"pointer":"/1/value","detail":"must be a finite number"}]}"#;
            return (StatusCode::BAD_REQUEST, problem).into_response();
        }
        (StatusCode::CREATED, r#"{"success":true}"#).into_response()
    };
    let router = Router::new().route("/api/sensors/", routing::post(post)).with_state(bodies.clone());
    tasks.spawn(async move { axum::serve(listener, router).await });
    (url, bodies)
}

fn options(url: &str) -> Send {
    Send {
        ingest: crate::args::Ingest { url: url.to_owned() },
        trust: crate::args::Trust::default(),
        sensor: "-".to_owned(),
        value: None,
        metadata: None,
        timestamp: None,
        retry_for: Duration::from_secs(20),
    }
}

async fn send(lines: &str) -> (anyhow::Result<()>, Vec<String>) {
    let mut tasks = JoinSet::new();
    let (url, bodies) = ingest(&mut tasks).await;
    let result =
        send_lines(&Poster::new(&url, &Trust::default()).unwrap(), &options(&url), lines.as_bytes()).await;
    let bodies = bodies.lock().unwrap().clone();
    (result, bodies)
}

#[tokio::test]
async fn every_line_is_sent_in_order_and_a_503_is_retried() {
    let lines: Vec<String> = (0..2_500).map(|n| format!("{{\"n\":{n}}}")).collect();
    let (result, bodies) = send(&lines.join("\n")).await;
    result.unwrap();
    assert_eq!(bodies[0], bodies[1], "the refused request comes again");
    let mut stored = Vec::new();
    for body in &bodies[1..] {
        let readings: Vec<Value> = serde_json::from_str(body).unwrap();
        assert!(readings.len() <= MAX_READINGS);
        stored.extend(readings.iter().map(Value::to_string));
    }
    assert_eq!(stored, lines);
}

#[tokio::test]
async fn a_refused_reading_is_named_by_its_line() {
    let (result, _) = send("{\"n\":1}\n\n{\"n\":\"bad\"}\n").await;
    let error = result.unwrap_err().to_string();
    assert_eq!(error, "line 3: ingest refuses it with HTTP 400: /1/value must be a finite number");
}

#[tokio::test]
async fn lines_before_a_broken_one_are_sent() {
    let (result, bodies) = send("{\"n\":1}\n{\"n\":2}\nx\n").await;
    assert!(result.unwrap_err().to_string().starts_with("line 3 is not JSON"));
    assert_eq!(bodies.last().map(String::as_str), Some(r#"[{"n":1},{"n":2}]"#));
}

#[tokio::test]
async fn an_unreachable_ingest_is_one_clear_line() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = format!("http://{free}");
    let options = Send { retry_for: Duration::ZERO, ..options(&url) };
    let error = send_lines(&Poster::new(&url, &Trust::default()).unwrap(), &options, &b"{}"[..])
        .await
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("ingest at http://") && error.contains("refused"), "{error}");
}
