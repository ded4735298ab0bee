//! Nothing twice: requests and readings that have a key are stored once, wherever their connections are cut and whatever is
//! killed, and each repetition is answered as the first was.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use e2e::{
    Plan, Stack,
    http::{self, Answer},
    users,
};
use futures_util::future::join_all;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use testkit::{PgBouncer, Postgres, pgbouncer::PoolMode, proxy::LinkState, wait_for};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

/// A rule that only the table knows.
const REFUSE_W: &str = "alter table sensor_readings add check (sensor_id not like 'w%')";

/// Before a request that was refused for now is repeated.
const AGAIN: Duration = Duration::from_millis(20);

/// How long a request may take to be answered, faults included.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

/// How many devices send at a time.
const DEVICES: usize = 8;

/// How many requests are sent in all.
fn requests() -> usize {
    if std::env::var_os("ROWCAST_TESTS_FULL").is_some() { 1_000 } else { 160 }
}

/// Ingest alone.
const PLAN: Plan = Plan { gateways: 0, listeners: 0 };

async fn stack() -> Stack {
    Stack::start(PLAN).await.unwrap()
}

/// Ingest behind a pooler that gives each transaction another session.
async fn pooled() -> Stack {
    let postgres = Postgres::start().unwrap();
    let pooler = PgBouncer::start(&postgres, PoolMode::Transaction, 6, &users::all()).unwrap();
    let env = [("ingest:ROWCAST_DATABASE__POOLER", "transaction")];
    Stack::start_on(postgres, Some(pooler), PLAN, &env).await.unwrap()
}

/// A request that may be repeated.
#[derive(Debug, Clone)]
struct Keyed {
    path: &'static str,
    key: Option<String>,
    body: String,
}

impl Keyed {
    fn bytes(&self) -> Vec<u8> {
        let key = self.key.iter().map(|key| format!("idempotency-key: \"{key}\"\r\n")).collect::<String>();
        let Self { path, body, .. } = self;
        let length = body.len();
        format!("POST {path} HTTP/1.1\r\nhost: rowcast\r\nconnection: close\r\n{key}content-length: {length}\r\n\r\n{body}")
            .into_bytes()
    }

    /// Sends a part of it, reads a part of the answer, and resets the connection; returns what it read of the body.
    async fn cut(&self, ingest: SocketAddr, random: &mut StdRng) -> Option<Vec<u8>> {
        let request = self.bytes();
        let sent =
            if random.random_bool(0.5) { random.random_range(0..request.len()) } else { request.len() };
        let mut stream = TcpStream::connect(ingest).await.ok()?;
        stream.set_zero_linger().unwrap();
        stream.write_all(&request[..sent]).await.ok()?;
        if sent < request.len() {
            return None;
        }
        let mut answer = vec![0; random.random_range(0..400)];
        let (mut length, mut is_over) = (0, false);
        while length < answer.len() && !is_over {
            let read = timeout(ANSWERED_WITHIN, stream.read(&mut answer[length..])).await.unwrap().ok()?;
            length += read;
            is_over = read == 0;
        }
        let text = &answer[..length];
        let is_stored = [&b"HTTP/1.1 201"[..], b"HTTP/1.1 207"].iter().any(|status| text.starts_with(status));
        let head = text.windows(4).position(|end| end == b"\r\n\r\n")?;
        is_stored.then(|| text[head + 4..].to_vec())
    }

    /// Repeats it until it is answered for good.
    async fn answered(&self, ingest: SocketAddr) -> Answer {
        wait_for("an answer", ANSWERED_WITHIN, || async {
            match http::exchange(ingest, &self.bytes()).await {
                Ok(answer) if matches!(answer.status, 409 | 503) => {
                    sleep(AGAIN).await;
                    Err(answer.body)
                }
                Ok(answer) => Ok(answer),
                Err(error) => Err(error.to_string()),
            }
        })
        .await
    }
}

/// Cuts it now and then, repeats it until it is answered, and then once more.
async fn send(request: &Keyed, ingest: SocketAddr, random: &mut StdRng) {
    let mut parts = Vec::new();
    for _ in 0..random.random_range(0..3) {
        parts.extend(request.cut(ingest, random).await);
    }
    let (first, again) = (request.answered(ingest).await, request.answered(ingest).await);
    assert!(matches!(first.status, 201 | 204 | 207), "{request:?}: {first:?}");
    assert_eq!((again.status, &again.body), (first.status, &first.body), "{request:?}");
    assert_eq!(again.header("content-type"), first.header("content-type"));
    let replayed = request.key.as_ref().map(|_| "true");
    assert_eq!(again.header("idempotency-replayed"), replayed, "{request:?}");
    for part in parts {
        assert!(first.body.as_bytes().starts_with(&part), "{request:?}: {part:?}: {first:?}");
    }
}

/// Sends all of them, while the connections to Postgres are cut, Postgres crashes and ingest is killed.
async fn send_all(stack: &mut Stack, request: fn(usize) -> Keyed) {
    let (ingest, done) = (stack.ingest.public(), Arc::new(AtomicUsize::new(0)));
    let mut devices = JoinSet::new();
    for device in 0..DEVICES {
        let done = done.clone();
        devices.spawn(async move {
            let mut random = StdRng::seed_from_u64(device as u64);
            for number in (device..requests()).step_by(DEVICES) {
                send(&request(number), ingest, &mut random).await;
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let faults = requests() / 20;
    for fault in 0..faults {
        let due = fault * requests() / faults;
        wait_for("progress", ANSWERED_WITHIN, || async {
            let done = done.load(Ordering::Relaxed);
            if done >= due { Ok(()) } else { Err(done) }
        })
        .await;
        match fault % 4 {
            0 | 2 => {
                stack.ingest.to_postgres.set(LinkState::Cut);
                sleep(AGAIN).await;
                stack.ingest.to_postgres.set(LinkState::Open);
            }
            1 => stack.ingest.crash_and_start().unwrap(),
            _ => stack.postgres.crash_and_start().unwrap(),
        }
    }
    while let Some(ended) = devices.join_next().await {
        ended.unwrap();
    }
}

/// A request with a key: one reading, or two of four.
fn with_key(number: usize) -> Keyed {
    let key = Some(format!("request-{number}"));
    let reading = |value: i32| format!(r#"{{"sensor_id":"s-{number}","value":{value}}}"#);
    let (path, body) = match number % 4 {
        0 => ("/api/sensors/", reading(1)),
        1 => ("/api/sensors/", format!("[{},{}]", reading(1), reading(2))),
        2 => ("/api/sensors/?partial=1", format!(r#"[{},{{"sensor_id":""}}]"#, reading(1))),
        _ => ("/api/v2/write", format!("s-{number} value=1")),
    };
    Keyed { path, key, body }
}

#[track_caller]
fn check_requests(stack: &Stack) {
    let rows = requests() + requests() / 4;
    assert_eq!(stack.psql("select count(*) from sensor_readings"), rows.to_string());
    let sensors = "select count(distinct sensor_id) from sensor_readings";
    assert_eq!(stack.psql(sensors), requests().to_string());
}

/// A request whose readings have keys: one, or two, one of which comes twice.
fn with_reading_keys(number: usize) -> Keyed {
    let reading = |key: usize| format!(r#"{{"sensor_id":"s-{number}","value":1,"key":"k-{key}"}}"#);
    let body = match number % 2 {
        0 => reading(0),
        _ => format!("[{},{},{}]", reading(1), reading(2), reading(1)),
    };
    Keyed { path: "/api/sensors/", key: None, body }
}

#[track_caller]
fn check_readings(stack: &Stack) {
    let rows = requests() + requests() / 2;
    assert_eq!(
        stack.psql("select count(*) from sensor_readings where sensor_id like 's-%'"),
        rows.to_string()
    );
    let twice = "select count(*) from (select from sensor_readings where sensor_id like 's-%' group by sensor_id, reading_key having count(*) > 1) t";
    assert_eq!(stack.psql(twice), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_a_key_that_is_cut_anywhere_and_repeated_is_stored_once() {
    let mut stack = stack().await;
    send_all(&mut stack, with_key).await;
    check_requests(&stack);
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_with_keys_that_are_cut_anywhere_and_repeated_are_stored_once_beside_strangers() {
    let mut stack = stack().await;
    let strangers = e2e::Writers::devices(0..2, stack.ingest.public());
    send_all(&mut stack, with_reading_keys).await;
    let stored = strangers.finish().await;
    assert!(!stored.is_empty());
    check_readings(&stack);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_pooler_requests_with_a_key_that_are_cut_are_stored_once() {
    let mut stack = pooled().await;
    send_all(&mut stack, with_key).await;
    check_requests(&stack);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_pooler_readings_with_keys_that_are_cut_are_stored_once() {
    let mut stack = pooled().await;
    send_all(&mut stack, with_reading_keys).await;
    check_readings(&stack);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_replicas_are_sent_at_once_is_stored_once_and_answered_alike() {
    let stack = stack().await;
    let other = stack.start_ingest().await.unwrap();
    let replicas = [stack.ingest.public(), other.public()];
    for request in [with_key, with_reading_keys] {
        let mut devices = JoinSet::new();
        for device in 0..DEVICES {
            devices.spawn(async move {
                for request in (device..requests()).step_by(DEVICES).map(request) {
                    let answers = join_all(replicas.map(|replica| request.answered(replica))).await;
                    let [one, another] = [&answers[0], &answers[1]];
                    assert!(matches!(one.status, 201 | 204 | 207), "{request:?}: {one:?}");
                    assert_eq!((another.status, &another.body), (one.status, &one.body), "{request:?}");
                    let replayed =
                        answers.iter().filter(|answer| answer.header("idempotency-replayed").is_some());
                    assert_eq!(replayed.count(), usize::from(request.key.is_some()), "{request:?}");
                }
            });
        }
        while let Some(ended) = devices.join_next().await {
            ended.unwrap();
        }
        if request(0).key.is_some() {
            check_requests(&stack)
        } else {
            check_readings(&stack)
        }
        stack.psql("truncate sensor_readings");
    }
}

async fn post(stack: &Stack, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    http::send(stack.ingest.public(), "POST", path, headers, body.as_bytes()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_one_request_and_refusals_may_be_repeated() {
    let stack = stack().await;
    let key = [("idempotency-key", "\"k\"")];
    let reading = r#"{"sensor_id":"a","value":1}"#;
    // what stored nothing is not kept
    assert_eq!(post(&stack, "/api/sensors/", &key, "{}").await.status, 400);
    stack.psql(REFUSE_W);
    let refused = post(&stack, "/api/sensors/", &key, r#"{"sensor_id":"w","value":1}"#).await;
    assert_eq!(
        (refused.status, &refused.json()["type"]),
        (400, &"urn:rowcast:problem:refused-reading".into())
    );
    let first = post(&stack, "/api/sensors/", &key, reading).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, None), "{first:?}");
    let bare = post(&stack, "/api/sensors", &[("idempotency-key", "k")], reading).await;
    assert_eq!((bare.header("idempotency-replayed"), &bare.body), (Some("true"), &first.body));
    for (path, body) in [("/api/sensors/", r#"{"sensor_id":"b","value":1}"#), ("/api/v2/write", "a value=1")]
    {
        let reused = post(&stack, path, &key, body).await;
        assert_eq!(reused.status, 422, "{reused:?}");
    }
    let reused = post(&stack, "/api/sensors/", &key, r#"{"sensor_id":"b","value":1}"#).await;
    assert_eq!(reused.json()["type"], "urn:rowcast:problem:idempotency-key-reused");
    let bad = post(&stack, "/api/sensors/", &[("idempotency-key", "\"\"")], reading).await;
    assert_eq!((bad.status, &bad.json()["type"]), (400, &"urn:rowcast:problem:bad-idempotency-key".into()));
    assert_eq!(stack.psql("select count(*) from sensor_readings"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_first_still_runs_is_told_to_come_back() {
    let stack = stack().await;
    let (key, reading) = ([("idempotency-key", "k")], r#"{"sensor_id":"a","value":1}"#);
    // a transaction that was left behind with the claim
    let mut held = e2e::session::Session::begin(&stack).unwrap();
    let id = r"sha256('\x0000000000000009'::bytea || 'anonymous' || '\x0000000000000001'::bytea || 'k')";
    held.run(&format!("select is_free from rowcast.claim_requests(array[{id}]);")).unwrap();
    wait_for("the claim", ANSWERED_WITHIN, || async {
        let locks = stack.psql("select count(*) from pg_locks where locktype = 'advisory' and objsubid = 2");
        if locks == "1" { Ok(()) } else { Err(locks) }
    })
    .await;
    let busy = post(&stack, "/api/sensors/", &key, reading).await;
    assert_eq!((busy.status, busy.header("retry-after")), (409, Some("1")), "{busy:?}");
    assert_eq!(busy.json()["type"], "urn:rowcast:problem:idempotency-key-in-use");
    // others are not held up
    let other = post(&stack, "/api/sensors/", &[("idempotency-key", "l")], reading).await;
    assert_eq!(other.status, 201);
    held.commit().unwrap();
    assert_eq!(post(&stack, "/api/sensors/", &key, reading).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_table_refuses_of_a_partial_request_is_part_of_the_answer_that_is_kept() {
    let stack = stack().await;
    stack.psql(REFUSE_W);
    let reading = |sensor: &str| format!(r#"{{"sensor_id":"{sensor}","value":1}}"#);
    let body = format!(r#"[{},{{"sensor_id":""}},{},{}]"#, reading("a"), reading("w"), reading("b"));
    let key = [("idempotency-key", "k")];
    let first = post(&stack, "/api/sensors/?partial=1", &key, &body).await;
    let results = first.json()["results"].as_array().unwrap().clone();
    let statuses: Vec<_> = results.iter().map(|result| result["status"].as_u64().unwrap()).collect();
    assert_eq!((first.status, &statuses[..]), (207, &[201, 400, 400, 201][..]), "{first:?}");
    assert_eq!(results[2]["type"], "urn:rowcast:problem:refused-reading");
    let again = post(&stack, "/api/sensors/?partial=1", &key, &body).await;
    assert_eq!((again.status, again.body), (207, first.body));
    let lines = "a value=1\nw value=1\nbroken\n";
    for version in ["/api/v2/write", "/write"] {
        let key = [("idempotency-key", version)];
        let first = post(&stack, version, &key, lines).await;
        let again = post(&stack, version, &key, lines).await;
        assert!(first.body.contains("dropped=2"), "{first:?}");
        assert_eq!((first.status, again.status, &again.body), (400, 400, &first.body));
        assert_eq!(again.header("x-influxdb-error"), first.header("x-influxdb-error"));
        assert_eq!(again.header("x-influxdb-error").is_some(), version == "/write");
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
    }
    assert_eq!(stack.psql("select count(*) from sensor_readings"), "4");
}
