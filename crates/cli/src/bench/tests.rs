//! A whole measurement against a small Rowcast in this process, which can be made to fail.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use axum::{Router, extract::State, http::StatusCode, routing};
use futures_util::{SinkExt, StreamExt};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::broadcast,
    task::JoinSet,
};
use tokio_tungstenite::{accept_async, tungstenite::Message};

use super::*;
use crate::args::{Gateway, Ingest, Load, MeasuredGateway};

/// What goes wrong at the second client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Lost,
    Twice,
    Swapped,
}

mod kinds;

const WRONG_FROM: i64 = 5;

/// A gateway that asks for no tokens.
fn gateway_at(url: String) -> MeasuredGateway {
    MeasuredGateway { at: Gateway { url }, issuers_file: None }
}

#[derive(Clone)]
struct Store {
    next: Arc<AtomicI64>,
    stored: broadcast::Sender<Vec<i64>>,
}

async fn post(State(store): State<Store>, body: String) -> (StatusCode, String) {
    let readings: Vec<serde_json::Value> = serde_json::from_str(&body).unwrap();
    let first = store.next.fetch_add(readings.len() as i64, Ordering::Relaxed);
    let ids: Vec<i64> = (first..).take(readings.len()).collect();
    store.stored.send(ids.clone()).unwrap();
    (StatusCode::CREATED, format!(r#"{{"success":true,"ids":{ids:?}}}"#))
}

/// Sends every id on, with the fault.
async fn client(stream: TcpStream, mut stored: broadcast::Receiver<Vec<i64>>, fault: Fault) {
    let mut socket = accept_async(stream).await.unwrap();
    socket.next().await.unwrap().unwrap();
    socket.send(Message::text(r#"{"id":1,"ok":{"sub":1,"pos":"1.1"}}"#)).await.unwrap();
    let mut held = VecDeque::new();
    while let Ok(ids) = stored.recv().await {
        for id in ids {
            match (fault, id) {
                (Fault::Lost, WRONG_FROM) => {}
                (Fault::Twice, WRONG_FROM) => held.extend([id, id]),
                (Fault::Swapped, WRONG_FROM) => held.push_back(id + 1),
                (Fault::Swapped, id) if id == WRONG_FROM + 1 => held.push_back(id - 1),
                _ => held.push_back(id),
            }
        }
        let events: Vec<String> = held
            .drain(..)
            .map(|id| format!(r#"{{"sub":1,"pos":"1.2","data":{{"id":{id},"metadata":{{}}}}}}"#))
            .collect();
        let frame = format!("[{}]", events.join(","));
        if !events.is_empty() && socket.send(Message::text(frame)).await.is_err() {
            return;
        }
    }
}

async fn measure_with(fault: Fault) -> Report {
    let (http, sockets) = (listen().await, listen().await);
    let url = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
    let options = BenchRun {
        ingest: Ingest { url: url(&http) },
        gateway: gateway_at(url(&sockets)),
        clients: 3,
        follow: 0,
        load: Load {
            connections: 2,
            readings: 5,
            sensors: 2,
            duration: Duration::from_millis(200),
            warmup: Duration::ZERO,
        },
        rate: 500.0,
        max: false,
        slow: 0,
        pids: Vec::new(),
        no_processes: true,
        with_limit: false,
        keys: 0,
        database_url: None,
        output: Format::Json,
    };
    let (stored, _keep) = broadcast::channel(10_000);
    let store = Store { next: Arc::new(AtomicI64::new(1)), stored };
    let mut tasks = JoinSet::new();
    let router = Router::new().route("/api/sensors/", routing::post(post)).with_state(store.clone());
    tasks.spawn(async move { axum::serve(http, router).await.unwrap() });
    tasks.spawn(async move {
        let mut clients = JoinSet::new();
        for n in 0.. {
            let (stream, _) = sockets.accept().await.unwrap();
            let fault = if n == 1 { fault } else { Fault::None };
            clients.spawn(client(stream, store.stored.subscribe(), fault));
        }
    });
    let limit = Duration::from_millis(if fault == Fault::Lost { 300 } else { 20_000 });
    measure(&options, limit).await.unwrap()
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

#[track_caller]
fn check(report: &Report, lost: u64, twice: u64, unordered: bool) {
    let faults = &report.ledger;
    assert_eq!((faults.lost, faults.twice), (lost, twice), "{faults:?}");
    assert_eq!(faults.out_of_order > 0, unordered, "{faults:?}");
    assert_eq!((faults.foreign, faults.disconnected, faults.gaps), (0, 0, 0), "{faults:?}");
    assert_eq!(report.readings, 100);
    assert_eq!(report.deliveries, 300 - lost + twice);
    assert_eq!((report.refused, report.failed, report.unsent), (0, 0, 0));
}

#[tokio::test]
async fn a_faultless_rowcast_passes_and_its_figures_add_up() {
    let report = measure_with(Fault::None).await;
    check(&report, 0, 0, false);
    assert_eq!(report.posts, 20);
    assert_eq!(report.latency_ms.from_201.count, 300);
    assert!(report.latency_ms.from_planned.p50 >= report.latency_ms.from_201.p50);
    assert!(report.ledger.is_clean());
}

#[tokio::test]
async fn one_lost_reading_at_one_client_is_found() {
    check(&measure_with(Fault::Lost).await, 1, 0, false);
}

#[tokio::test]
async fn one_duplicate_reading_at_one_client_is_found() {
    check(&measure_with(Fault::Twice).await, 0, 1, false);
}

#[tokio::test]
async fn two_swapped_readings_at_one_client_are_found() {
    // ids 5 and 6 are in different requests; written by two connections, they differ from the first client's order
    let report = measure_with(Fault::Swapped).await;
    check(&report, 0, 0, true);
    assert!(!report.ledger.is_clean());
}

#[test]
fn the_names_in_the_json_are_stable() {
    let report = serde_json::to_value(Report::default()).unwrap();
    let names: Vec<&String> = report.as_object().unwrap().keys().collect();
    for name in [
        "schema",
        "posts_per_s",
        "readings_per_s",
        "deliveries_per_s",
        "refused",
        "lost",
        "twice",
        "out_of_order",
    ] {
        assert!(names.iter().any(|there| *there == name), "{name} is missing: {names:?}");
    }
    let latency = &report["latency_ms"];
    for (of, at) in [("from_201", "p50"), ("from_planned", "p99"), ("post", "p99_9"), ("lateness", "max")] {
        assert!(latency[of][at].is_number(), "{of}.{at}: {latency}");
    }
}
