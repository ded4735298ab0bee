//! Sessions whose credentials end, are renewed, narrowed or revoked while readings come.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use e2e::{
    Stack,
    client::{self, Socket},
    http, tokens,
};
use serde_json::json;
use testkit::proxy::LinkState;
use tokio::task::JoinSet;
use wire::ServerMessage;

use super::{
    credentials::{Credentials, id, key, run},
    stack,
};

/// Where sessions are.
const GATEWAYS: usize = 3;

/// How many clients come in at each gateway, again and again, and how many connections each of them keeps.
const COMING: usize = 4;

/// A changed key and a revoked token are in force everywhere after this.
const IN_FORCE: Duration = Duration::from_secs(5);

/// Readings of `acme/a` and `acme/b` in turn, their values counting up, until it is stopped.
struct Load {
    stop: Arc<AtomicBool>,
    task: JoinSet<u64>,
}

impl Load {
    fn start(ingest: SocketAddr, key: String) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut value = 0;
            while !stopped.load(Ordering::Relaxed) {
                value += 1;
                let sensor = if value % 2 == 0 { "acme/a" } else { "acme/b" };
                let body = json!({ "sensor_id": sensor, "value": value }).to_string();
                let headers = [("x-api-key", key.as_str()), ("content-type", "application/json")];
                let answer = http::send(ingest, "POST", "/api/sensors/", &headers, body.as_bytes()).await;
                assert_eq!(answer.unwrap().status, 201);
            }
            value
        });
        Self { stop, task }
    }

    /// The last value.
    async fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.join_next().await.unwrap().unwrap()
    }
}

struct Fixture {
    stack: Stack,
    credentials: Credentials,
    load: Load,
    _folder: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let credentials = Credentials::new(folder.path());
        let stack = stack(credentials.issuers(), GATEWAYS).await;
        let writer = key(&stack, &["--write", "acme/*"]);
        super::credentials::await_known(&stack, &writer).await;
        let load = Load::start(stack.ingest.public(), writer);
        Self { stack, credentials, load, _folder: folder }
    }

    fn token(&self, read: &[&str], seconds: u64) -> String {
        let mut claims = self.credentials.issuer().claims("viewer", read);
        claims["exp"] = json!(tokens::now() + seconds);
        claims["jti"] = json!("live");
        self.credentials.issuer().token(&claims)
    }

    /// A socket that has said who it is, and follows everything that it may.
    async fn follow(&self, token: &str) -> Socket {
        self.follow_at(0, token).await
    }

    async fn follow_at(&self, gateway: usize, token: &str) -> Socket {
        let mut socket = client::connect_v1(self.stack.gateways[gateway].public()).await.unwrap();
        let first = json!([{ "auth": { "token": token } }, { "id": 1, "subscribe": {} }]).to_string();
        client::send(&mut socket, &first).await;
        let until = |message: &ServerMessage| message.ok.is_some();
        client::messages_until(&mut socket, until).await;
        socket
    }
}

/// The sensor and the value of an event.
fn event(message: &ServerMessage) -> Option<(String, u64)> {
    let event: serde_json::Value = serde_json::from_str(message.data.as_ref()?.get()).unwrap();
    Some((event["sensor_id"].as_str()?.to_owned(), event["value"].as_f64()? as u64))
}

/// Reads until something holds; the events before it.
async fn events_until(socket: &mut Socket, until: impl Fn(&ServerMessage) -> bool) -> Vec<(String, u64)> {
    client::messages_until(socket, until).await.iter().filter_map(event).collect()
}

/// Reads to the close; the code that `bye` tells, and when.
async fn until_bye(socket: &mut Socket) -> (u16, Instant) {
    let messages = client::messages_until(socket, |message| message.bye.is_some()).await;
    (messages.last().and_then(|message| message.bye.as_ref()).unwrap().code, Instant::now())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_token_misses_and_doubles_nothing_and_a_narrowed_one_narrows_at_once() {
    let fixture = Fixture::new().await;
    let mut socket = fixture.follow(&fixture.token(&["acme/*"], 600)).await;
    let mut seen = events_until(&mut socket, |message| message.data.is_some()).await;
    for round in 2..12 {
        // some readings between two tokens
        for _ in 0..3 {
            seen.extend(events_until(&mut socket, |message| message.data.is_some()).await);
        }
        let renewed = fixture.token(&["acme/*"], 600 + round);
        client::send(&mut socket, &json!({ "id": round, "auth": { "token": renewed } }).to_string()).await;
        let answered = |message: &ServerMessage| message.id == Some(round);
        seen.extend(events_until(&mut socket, answered).await);
    }
    let first = seen.first().unwrap().1;
    let values: Vec<u64> = seen.iter().map(|(_, value)| *value).collect();
    assert_eq!(values, (first..first + values.len() as u64).collect::<Vec<_>>());

    // the same readings go on, of one sensor alone
    let mut last = *values.last().unwrap();
    for (round, read) in [(20, "acme/a"), (21, "acme/*"), (22, "acme/b"), (23, "acme/a"), (24, "acme/*")] {
        let token = fixture.token(&[read], 600);
        client::send(&mut socket, &json!({ "id": round, "auth": { "token": token } }).to_string()).await;
        let before = events_until(&mut socket, |message| message.id == Some(round)).await;
        last = before.last().map_or(last, |(_, value)| *value);
        let mut after = Vec::new();
        while after.len() < 20 {
            after.extend(events_until(&mut socket, |message| message.data.is_some()).await);
        }
        assert!(after.iter().all(|(sensor, _)| read == "acme/*" || sensor == read), "{read}: {after:?}");
        let step = if read == "acme/*" { 1 } else { 2 };
        assert!(after.windows(2).all(|pair| pair[1].1 == pair[0].1 + step), "{read}: {after:?}");
        // up to one that neither grant allows lies between
        assert!(after[0].1 > last && after[0].1 <= last + 3, "{read}: {last}, then {after:?}");
        last = after.last().unwrap().1;
    }
    fixture.load.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_told_that_its_token_ends_and_ends_with_it_unless_it_is_renewed() {
    let fixture = Fixture::new().await;
    let token = fixture.token(&["acme/*"], 4);
    let mut renewed = Vec::new();
    let mut ended = Vec::new();
    for gateway in 0..GATEWAYS {
        renewed.push(fixture.follow_at(gateway, &token).await);
        ended.push(fixture.follow_at(gateway, &token).await);
    }
    for socket in renewed.iter_mut().chain(&mut ended) {
        let told = client::messages_until(socket, |message| message.expires.is_some()).await;
        let in_ms = told.last().unwrap().expires.unwrap().in_ms;
        assert!((1..=4_000).contains(&in_ms), "{in_ms}");
    }
    let token = fixture.token(&["acme/*"], 600);
    for socket in &mut renewed {
        client::send(socket, &json!({ "id": 2, "auth": { "token": token } }).to_string()).await;
    }
    for socket in &mut ended {
        assert_eq!(until_bye(socket).await.0, 4401);
        assert!(client::next_messages(socket).await.is_err(), "nothing comes after it");
    }
    for socket in &mut renewed {
        // it lives on, longer than the token before
        let last = events_until(socket, |message| message.id == Some(2)).await;
        let later = last.last().map_or(0, |(_, value)| *value) + 20;
        events_until(socket, |message| event(message).is_some_and(|(_, value)| value >= later)).await;
    }
    fixture.load.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_ends_everywhere_within_5_s() {
    let fixture = Fixture::new().await;
    let reader = key(&fixture.stack, &["--read", "acme/*"]);
    super::credentials::await_known(&fixture.stack, &later_key(&fixture.stack)).await;
    let token = fixture.token(&["acme/*"], 600);
    let mut ending = JoinSet::new();
    for gateway in 0..GATEWAYS {
        await_admitted(fixture.stack.gateways[gateway].public(), &reader).await;
        for credential in [&reader, &token] {
            let mut socket = fixture.follow_at(gateway, credential).await;
            ending.spawn(async move {
                let (code, at) = until_bye(&mut socket).await;
                assert!(client::next_messages(&mut socket).await.is_err(), "nothing comes after it");
                (code, at)
            });
        }
    }
    let issuer = fixture.credentials.issuer().name.clone();
    run(&fixture.stack, &["keys", "revoke", id(&reader)]);
    run(&fixture.stack, &["tokens", "revoke", "--issuer", &issuer, "--jti", "live", "--for", "1h"]);
    let revoked_at = Instant::now();
    for (code, at) in ending.join_all().await {
        assert_eq!(code, 4401);
        let after = at.saturating_duration_since(revoked_at);
        assert!(after < IN_FORCE, "{after:?}");
    }
    fixture.load.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_in_while_its_credential_is_revoked_is_refused_or_ends_in_time() {
    let fixture = Fixture::new().await;
    let first =
        json!([{ "auth": { "token": fixture.token(&["acme/*"], 600) } }, { "id": 1, "subscribe": {} }]);
    let came_in = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for gateway in fixture.stack.gateways.iter().flat_map(|gateway| [gateway.public(); COMING]) {
        let (first, came_in) = (first.to_string(), came_in.clone());
        clients.spawn(async move {
            let mut last = VecDeque::new();
            loop {
                let mut socket = client::connect_v1(gateway).await.unwrap();
                client::send(&mut socket, &first).await;
                let is_out = |message: &ServerMessage| message.error.is_some() || message.bye.is_some();
                let is_over = |message: &ServerMessage| message.data.is_some() || is_out(message);
                let answer = client::messages_until(&mut socket, is_over).await;
                if answer.iter().any(is_out) {
                    break;
                }
                came_in.fetch_add(1, Ordering::Relaxed);
                last.push_back(socket);
                if last.len() > COMING {
                    last.pop_front();
                }
            }
            for mut socket in last {
                assert_eq!(until_bye(&mut socket).await.0, 4401);
            }
            Instant::now()
        });
    }
    let in_motion = async || match came_in.load(Ordering::Relaxed) {
        some if some > 100 => Ok(()),
        few => Err(few),
    };
    testkit::wait_for("clients come in", IN_FORCE, in_motion).await;
    let issuer = fixture.credentials.issuer().name.clone();
    run(&fixture.stack, &["tokens", "revoke", "--issuer", &issuer, "--jti", "live", "--for", "1h"]);
    let revoked_at = Instant::now();
    for over_at in clients.join_all().await {
        let after = over_at.saturating_duration_since(revoked_at);
        assert!(after < IN_FORCE, "{after:?}");
    }
    fixture.load.stop().await;
}

/// Waits until a gateway knows a key.
async fn await_admitted(gateway: SocketAddr, key: &str) {
    testkit::wait_for("the gateway knows the key", IN_FORCE, async || {
        let answer = http::send(gateway, "GET", "/api/changes", &[("x-api-key", key)], b"").await.unwrap();
        if answer.status == 200 { Ok(()) } else { Err(answer.status) }
    })
    .await;
}

/// A key that is made later: when it is known, those before it are.
fn later_key(stack: &Stack) -> String {
    key(stack, &["--write", "acme/*"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_poll_ends_when_its_key_is_revoked() {
    let fixture = Fixture::new().await;
    fixture.load.stop().await;
    let reader = key(&fixture.stack, &["--read", "nothing/*"]);
    super::credentials::await_known(&fixture.stack, &later_key(&fixture.stack)).await;
    let gateway = fixture.stack.gateways[0].public();
    let header = [("x-api-key", reader.as_str())];
    let now = http::send(gateway, "GET", "/api/changes", &header, b"").await.unwrap();
    let path = format!("/api/changes?wait=50s&since={}", now.json()["next"].as_str().unwrap());
    let mut poll = JoinSet::new();
    poll.spawn({
        let reader = reader.clone();
        async move { http::send(gateway, "GET", &path, &[("x-api-key", &reader)], b"").await }
    });
    let waits = async || match fixture.stack.gateways[0].metric("rowcast_gateway_subscriptions").await {
        Ok(1.0) => Ok(()),
        other => Err(format!("{other:?}")),
    };
    testkit::wait_for("the poll waits", IN_FORCE, waits).await;
    run(&fixture.stack, &["keys", "revoke", id(&reader)]);
    let revoked_at = Instant::now();
    assert_eq!(poll.join_next().await.unwrap().unwrap().unwrap().status, 401);
    assert!(revoked_at.elapsed() < IN_FORCE, "{:?}", revoked_at.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_known_keys_stay_in_force_while_postgres_is_away_and_a_new_process_has_none() {
    let mut fixture = Fixture::new().await;
    fixture.load.stop().await;
    let reader = key(&fixture.stack, &["--read", "acme/*"]);
    super::credentials::await_known(&fixture.stack, &later_key(&fixture.stack)).await;
    let gateway = &mut fixture.stack.gateways[0];
    gateway.to_postgres.set(LinkState::Cut);
    let header = [("x-api-key", reader.as_str())];
    let status =
        async |addr| http::send(addr, "GET", "/api/changes", &header, b"").await.map(|answer| answer.status);
    assert_eq!(status(gateway.public()).await.unwrap(), 200);
    gateway.crash_and_start().unwrap();
    gateway.await_unready().await;
    let refused = status(gateway.public()).await;
    assert!(!matches!(refused, Ok(200)), "{refused:?}");
    gateway.to_postgres.set(LinkState::Open);
    gateway.await_ready().await;
    assert_eq!(status(gateway.public()).await.unwrap(), 200);
}
