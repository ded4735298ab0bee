//! Behind a real PgBouncer: ingest and the gateways deliver everything, whatever other clients do in its sessions.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use e2e::{
    Fault, Plan, Stack, Trial,
    client::{messages_until, subscribed},
    fault::Link,
    http,
    stack::DATABASE,
    users,
};
use testkit::{PgBouncer, Postgres, pgbouncer::PoolMode, postgres::psql, wait_for};
use tokio::task::JoinSet;
use wire::Position;

const PLAN: Plan = Plan { gateways: 2, listeners: 1 };

/// The services behind the pooler, each with sessions of its own user.
const POOLED: [&str; 2] = ["ingest", "ws-gateway"];

/// The pause between a reader's requests, which leaves the few sessions to others too.
const PACE: Duration = Duration::from_millis(20);

/// This many readings of 20 kB exceed a window of 1 MiB.
const LARGE: usize = 150;

/// Settings that another client of the pooler leaves in its sessions. Each would lose readings, or refuse them.
const LEFT_BEHIND: [&str; 7] = [
    "set synchronous_commit = off",
    "set search_path = nowhere",
    "set default_transaction_read_only = on",
    "set default_transaction_isolation = serializable",
    "set role stranger",
    "set lock_timeout = '1ms'; set statement_timeout = '20ms'",
    "deallocate all; prepare sqlx_s_1 as select 'of another'; prepare sqlx_s_2 as select 'of another'",
];

/// A stack behind a pooler, on a database that commits asynchronously by default.
async fn stack(mode: PoolMode, sessions: u32) -> Stack {
    let postgres = Postgres::start().unwrap();
    postgres.psql(DATABASE, "create role stranger").unwrap();
    postgres.psql(DATABASE, "alter database postgres set synchronous_commit = off").unwrap();
    let pooler = PgBouncer::start(&postgres, mode, sessions, &users::all()).unwrap();
    let word = match mode {
        PoolMode::Session => "session",
        PoolMode::Transaction => "transaction",
    };
    let env = [
        ("ingest:ROWCAST_DATABASE__POOLER", word),
        ("ws-gateway:ROWCAST_DATABASE__POOLER", word),
        ("ws-gateway:ROWCAST_GATEWAY__WINDOW_BYTES", "1048576"),
    ];
    let stack = Stack::start_on(postgres, Some(pooler), PLAN, &env).await.unwrap();
    for program in POOLED {
        stack.psql(&format!("grant stranger to {}", users::name(program)));
    }
    stack
}

/// Clients that request everything that is read from Postgres, and another client of the same pooler, until they are
/// stopped.
struct OtherClients {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    left: Arc<AtomicUsize>,
    tasks: JoinSet<()>,
}

impl OtherClients {
    fn start(stack: &Stack) -> Self {
        let (stop, answers, left) = (Arc::default(), Arc::default(), Arc::default());
        let mut all = Self { stop, answers, left, tasks: JoinSet::new() };
        let readers = [
            (stack.ingest.public(), "/api/sensors/?limit=20"),
            (stack.ingest.public(), "/api/sensors/?sensor_id=writer-0&limit=20"),
            (stack.gateways[0].public(), "/api/latest?sensor=writer-*"),
            (stack.gateways[1].public(), "/api/readings?sensor=writer-*&limit=50"),
            (stack.gateways[0].public(), "/api/readings?sensor=writer-1&bucket=1d&from=2026-01-01T00:00:00Z"),
            (stack.gateways[1].public(), "/api/sensors/writer-1"),
        ];
        for (addr, path) in readers {
            all.tasks.spawn(read(addr, path, all.stop.clone(), all.answers.clone()));
        }
        let pooler = stack.pooler.as_ref().unwrap().url(DATABASE);
        for program in POOLED {
            let pooler = users::url(&pooler, program);
            all.tasks.spawn(leave_behind(pooler, all.stop.clone(), all.left.clone()));
        }
        all
    }

    /// How often readers were answered, and how often something was left behind.
    fn counts(&self) -> (usize, usize) {
        (self.answers.load(Ordering::Relaxed), self.left.load(Ordering::Relaxed))
    }

    async fn finish(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

async fn read(addr: SocketAddr, path: &'static str, stop: Arc<AtomicBool>, answers: Arc<AtomicUsize>) {
    let mut pace = tokio::time::interval(PACE);
    while !stop.load(Ordering::Relaxed) {
        pace.tick().await;
        let answer = http::get(addr, path).await.unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answers.fetch_add(1, Ordering::Relaxed);
    }
}

async fn leave_behind(pooler: String, stop: Arc<AtomicBool>, left: Arc<AtomicUsize>) {
    for sql in LEFT_BEHIND.into_iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let pooler = pooler.clone();
        // its own earlier settings may make it fail
        let done = tokio::task::spawn_blocking(move || psql(&pooler, sql)).await.unwrap();
        left.fetch_add(usize::from(done.is_ok()), Ordering::Relaxed);
    }
}

/// The service's request counts with a status of 500 or more.
async fn failures(addr: SocketAddr) -> Vec<String> {
    let metrics = http::get(addr, "/metrics").await.unwrap().body;
    let counted = |line: &&str| {
        line.starts_with("rowcast_http_request_duration_seconds_count") && line.contains("status=\"5")
    };
    metrics.lines().filter(counted).map(str::to_owned).collect()
}

/// The position of a reading after which there are more than the windows hold.
async fn large(stack: &Stack) -> Position {
    let (mut socket, _) = subscribed(stack.gateways[0].public(), r#"{"sensors":["large"]}"#).await;
    let insert = |count: usize| {
        stack.psql(&format!(
            "insert into sensor_readings (sensor_id, value, metadata)
             select 'large', n, jsonb_build_object('text', repeat('x', 20000)) from generate_series(1, {count}) n"
        ))
    };
    insert(1);
    let first = messages_until(&mut socket, |message| message.data.is_some()).await;
    insert(LARGE);
    first.last().unwrap().pos.unwrap()
}

/// Everything arrives and nothing fails, while others use the pooler too.
async fn check(mode: PoolMode, sessions: u32) {
    let mut trial = Trial::begin(stack(mode, sessions).await).await;
    let first = large(&trial.stack).await;
    let others = OtherClients::start(&trial.stack);
    trial.progress("readings beside other clients").await;
    for gateway in &trial.stack.gateways {
        let from = format!(r#"{{"sensors":["large"],"from":"{first}"}}"#);
        let (mut socket, ok) = subscribed(gateway.public(), &from).await;
        assert_eq!(ok.ok.unwrap().resumed, Some(true));
        let replay = messages_until(&mut socket, |message| message.live.is_some()).await;
        assert_eq!(replay.iter().filter(|message| message.data.is_some()).count(), LARGE);
        assert!(gateway.metric("rowcast_gateway_replay_reads_total").await.unwrap() > 0.0);
    }
    wait_for(
        "answers, and every setting left behind twice in the sessions of each",
        Duration::from_secs(60),
        || async {
            let (answers, left) = others.counts();
            if answers > 50 && left >= 2 * POOLED.len() * LEFT_BEHIND.len() {
                Ok(())
            } else {
                Err((answers, left))
            }
        },
    )
    .await;
    trial.progress("readings with what was left behind").await;
    others.finish().await;
    for service in std::iter::once(&trial.stack.ingest).chain(&trial.stack.gateways) {
        assert_eq!(failures(service.admin).await, [""; 0], "{}", service.process.tail());
    }
    trial.inject(Fault::GatewayKilled).await.unwrap();
    for fault in
        [Fault::PostgresCrashed, Fault::Cut(Link::IngestPostgres), Fault::Frozen(Link::IngestPostgres)]
    {
        trial.inject(fault).await.unwrap();
    }
    trial.stack.pooler.as_mut().unwrap().crash_and_start().unwrap();
    trial.progress("readings after the pooler was killed").await;
    let summary = trial.end().await.unwrap();
    assert!(summary.readings > LARGE && summary.clients == 4, "{summary:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_sessions_pooled_by_transaction_deliver_everything() {
    check(PoolMode::Transaction, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_a_pooler_deliver_everything() {
    // of each user: ingest's four lanes and four readers, each gateway's ten, and the other client keep one
    check(PoolMode::Session, 30).await;
}
