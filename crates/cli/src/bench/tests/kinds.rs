//! The parts, against a small Rowcast that keeps readings, and can be made to lose some.

use std::{process::Stdio, sync::Mutex};

use axum::Json;
use tokio::{
    io::AsyncReadExt,
    process::{Child, ChildStdout, Command},
    sync::watch,
};
use tokio_tungstenite::WebSocketStream;
use wire::{Command as Request, Start, Verb};

use super::*;
use crate::args::{BenchBurst, BenchHandshakes, BenchReplay, BenchResume, Posts};

/// All stored readings; followers are notified of their number.
#[derive(Clone)]
struct Log {
    ids: Arc<Mutex<Vec<i64>>>,
    length: watch::Sender<usize>,
    /// What no replay brings.
    forgotten: Option<i64>,
}

/// A gateway's connections end with the process that represents it.
#[derive(Clone, Copy)]
struct Until(Option<u32>);

impl Until {
    fn is_over(self) -> bool {
        self.0.is_some_and(|pid| !processes::is_running(pid))
    }
}

impl Log {
    fn new(forgotten: Option<i64>) -> Self {
        Self { ids: Arc::default(), length: watch::channel(0).0, forgotten }
    }

    fn store(&self, readings: usize) -> Vec<i64> {
        let mut ids = self.ids.lock().unwrap();
        let first = ids.len() as i64 + 1;
        let new: Vec<i64> = (first..).take(readings).collect();
        ids.extend(&new);
        self.length.send_replace(ids.len());
        new
    }

    async fn follow(self, stream: TcpStream, until: Until) {
        let mut socket = accept_async(stream).await.unwrap();
        let Some(Ok(first)) = socket.next().await else { return };
        let Verb::Subscribe(subscribe) =
            Request::parse_frame(first.to_text().unwrap()).unwrap().remove(0).verb
        else {
            panic!("{first}")
        };
        let mut length = self.length.subscribe();
        let head = *length.borrow_and_update();
        let (from, resumed) = match subscribe.from {
            Start::After(pos) => (pos.to_string().split('.').nth(1).unwrap().parse().unwrap(), true),
            _ => (head, false),
        };
        send_text(&mut socket, &format!(r#"{{"id":1,"ok":{{"sub":1,"pos":"1.{from}"}}}}"#)).await;
        let mut sent = from;
        if resumed {
            self.send(&mut socket, sent..head, self.forgotten).await;
            send_text(&mut socket, &format!(r#"{{"sub":1,"live":{{"pos":"1.{head}"}}}}"#)).await;
            sent = head;
        }
        loop {
            tokio::select! {
                _ = length.changed() => {}
                message = socket.next() => if !matches!(message, Some(Ok(_))) { return },
            }
            if until.is_over() {
                return;
            }
            let head = *length.borrow_and_update();
            self.send(&mut socket, sent..head, None).await;
            sent = head;
        }
    }

    async fn send(
        &self,
        socket: &mut WebSocketStream<TcpStream>,
        places: std::ops::Range<usize>,
        without: Option<i64>,
    ) {
        let ids = self.ids.lock().unwrap()[places].to_vec();
        let events = ids.iter().filter(|id| Some(**id) != without);
        let events: Vec<String> = events
            .map(|id| format!(r#"{{"sub":1,"pos":"1.{id}.{id}","data":{{"id":{id},"metadata":{{}}}}}}"#))
            .collect();
        if !events.is_empty() {
            send_text(socket, &format!("[{}]", events.join(","))).await;
        }
    }
}

async fn send_text(socket: &mut WebSocketStream<TcpStream>, text: &str) {
    // a client may have left
    let _ = socket.send(Message::text(text)).await;
}

/// Serves sockets until the process that represents the gateway ends.
async fn gateway(log: Log, process: Option<&mut Child>) -> (String, JoinSet<()>) {
    let listener = listen().await;
    let url = format!("http://{}", listener.local_addr().unwrap());
    let until = Until(process.as_ref().and_then(|process| process.id()));
    let stdout = process.and_then(|process| process.stdout.take());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut clients = JoinSet::new();
        let serve = async {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                clients.spawn(log.clone().follow(stream, until));
            }
        };
        tokio::select! { () = serve => {}, () = end(stdout) => {} }
    });
    (url, tasks)
}

/// Returns when the process has ended whose output this is; without one, never.
async fn end(stdout: Option<ChildStdout>) {
    match stdout {
        Some(mut stdout) => assert_eq!(stdout.read(&mut [0]).await.unwrap(), 0, "it writes nothing"),
        None => std::future::pending().await,
    }
}

async fn ingest(log: Log) -> (String, JoinSet<()>) {
    let listener = listen().await;
    let url = format!("http://{}", listener.local_addr().unwrap());
    let post = |State(log): State<Log>, Json(body): Json<Vec<serde_json::Value>>| async move {
        (StatusCode::CREATED, format!(r#"{{"success":true,"ids":{:?}}}"#, log.store(body.len())))
    };
    let router = Router::new().route("/api/sensors/", routing::post(post)).with_state(log);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, tasks)
}

/// A process that is stopped and killed instead of the gateway.
fn stand_in() -> Child {
    let mut sleep = Command::new("sleep");
    sleep.arg("60").stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

const POSTS: Posts = Posts { connections: 2, together: 5, sensors: 4 };

#[tokio::test]
async fn handshakes_are_opened_and_closed_until_there_are_enough() {
    let (url, _tasks) = gateway(Log::new(None), None).await;
    let options = BenchHandshakes {
        gateway: gateway_at(url),
        clients: Some(40),
        at_once: 4,
        duration: Duration::from_secs(20),
        pid: Some(std::process::id()),
        output: Format::Json,
    };
    let measured = handshakes::measure(&options).await.unwrap();
    assert_eq!((measured.opened, measured.failed), (40, 0), "{measured:?}");
    assert!(measured.handshakes_per_s > 0.0 && measured.ms.count == 40, "{measured:?}");
    let options = BenchHandshakes { gateway: gateway_at("http://127.0.0.1:1".to_owned()), ..options };
    let failed = handshakes::measure(&BenchHandshakes { clients: Some(3), ..options }).await.unwrap();
    assert_eq!((failed.opened, failed.failed), (0, 3));
    assert!(failed.first_fault.is_some());
}

#[tokio::test]
async fn a_burst_reaches_all_clients_and_the_process_is_resumed() {
    let log = Log::new(None);
    let (ingest, _ingest) = ingest(log.clone()).await;
    let (gateway, _gateway) = gateway(log, None).await;
    let process = stand_in();
    let options = BenchBurst {
        ingest: Ingest { url: ingest },
        gateway: gateway_at(gateway),
        clients: 3,
        readings: 98,
        posts: POSTS,
        pid: process.id(),
        listener_admin: None,
        with_limit: false,
        output: Format::Json,
    };
    let measured = burst::measure(&options).await.unwrap();
    assert!(measured.is_clean(), "{measured:?}");
    assert_eq!((measured.readings, measured.deliveries), (100, 300), "to the next full request");
    let pid = process.id().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("State:\tS"), "{status}");
}

async fn replay_with(forgotten: Option<i64>) -> replay::Replay {
    let log = Log::new(forgotten);
    log.store(7);
    let (ingest, _ingest) = ingest(log.clone()).await;
    let (gateway, _gateway) = gateway(log, None).await;
    let options = BenchReplay {
        ingest: Ingest { url: ingest },
        gateway: gateway_at(gateway),
        readings: 50,
        posts: POSTS,
        gateway_admin: None,
        output: Format::Json,
    };
    replay::measure(&options, Duration::from_secs(2)).await.unwrap()
}

#[tokio::test]
async fn a_replay_is_exactly_what_came_after_the_position() {
    let measured = replay_with(None).await;
    assert!(measured.is_clean() && measured.resumed.foreign == 0, "{measured:?}");
    assert!(measured.readings == 50 && measured.readings_per_s > 0.0, "{measured:?}");
}

#[tokio::test]
async fn a_reading_that_a_replay_leaves_out_is_found() {
    let measured = replay_with(Some(20)).await;
    assert_eq!((measured.live.lost, measured.resumed.lost), (0, 1), "{measured:?}");
    assert!(!measured.is_clean());
}

async fn resume_with(forgotten: Option<i64>) -> resume::Resume {
    let (log, mut process) = (Log::new(forgotten), stand_in());
    let (ingest, _ingest) = ingest(log.clone()).await;
    let (first, _first) = gateway(log.clone(), Some(&mut process)).await;
    let (other, _other) = gateway(log, None).await;
    let options = BenchResume {
        ingest: Ingest { url: ingest },
        gateway: gateway_at(first),
        other,
        other_admin: None,
        clients: 20,
        readings: 10,
        posts: POSTS,
        pid: process.id(),
        output: Format::Json,
    };
    resume::measure(&options, Duration::from_secs(2)).await.unwrap()
}

#[tokio::test]
async fn every_client_of_a_killed_gateway_gets_everything_from_the_other() {
    let measured = resume_with(None).await;
    assert!(measured.is_clean() && measured.ledger.disconnected == 0, "{measured:?}");
    assert_eq!((measured.readings, measured.ms.count), (20, 20));
}

#[tokio::test]
async fn a_client_that_lacks_a_reading_after_its_return_is_not_complete() {
    let measured = resume_with(Some(15)).await;
    assert_eq!((measured.ledger.lost, measured.incomplete), (20, 20), "{measured:?}");
    assert!(!measured.is_clean());
}

#[tokio::test]
async fn slow_clients_that_the_gateway_closes_are_not_counted_as_connected() {
    let mut process = stand_in();
    let (url, mut closing) = gateway(Log::new(None), Some(&mut process)).await;
    let gateway = Address::parse(&url).unwrap();
    let (staying, leaving) =
        (SlowReaders::open(&gateway, 2).await.unwrap(), SlowReaders::open(&gateway, 3).await.unwrap());
    assert_eq!(staying.close().await, slow::Slow { clients: 2, connected: 2 });
    processes::kill_and_wait(process.id().unwrap()).await.unwrap();
    // the gateway's end, with all its connections
    closing.join_next().await;
    assert_eq!(leaving.close().await, slow::Slow { clients: 3, connected: 0 });
}
