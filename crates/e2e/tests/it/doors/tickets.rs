//! Tickets: used once, by anybody who has one, at any gateway, for a short time.

use std::{net::SocketAddr, time::Duration};

use e2e::{Plan, Stack, client, http};
use testkit::{hostile::Peer, proxy::LinkState, wait_for};
use tokio::task::JoinSet;

use super::{
    credentials::{await_known, id, key, run},
    probes::ticket,
};

/// How long an answer that is expected may take.
const WITHIN: Duration = Duration::from_secs(10);

/// A revoked key is out of force everywhere after this.
const IN_FORCE: Duration = Duration::from_secs(5);

struct Fixture {
    stack: Stack,
    reader: String,
}

impl Fixture {
    async fn new() -> Self {
        let env = [("ingest:ROWCAST_AUTH__ENABLED", "true"), ("ws-gateway:ROWCAST_AUTH__ENABLED", "true")];
        let stack = Stack::start_with(Plan { gateways: 2, listeners: 1 }, &env).await.unwrap();
        let reader = key(&stack, &["--read", "a"]);
        await_known(&stack, &key(&stack, &["--write", "a"])).await;
        let fixture = Self { stack, reader };
        wait_for("the other gateway knows the key, too", IN_FORCE, async || {
            let header = [("x-api-key", fixture.reader.as_str())];
            let answer = http::send(fixture.gateway(1), "GET", "/api/latest", &header, b"").await.unwrap();
            if answer.status == 200 { Ok(()) } else { Err(answer.status) }
        })
        .await;
        fixture
    }

    fn gateway(&self, number: usize) -> SocketAddr {
        self.stack.gateways[number].public()
    }

    async fn try_ticket(&self, gateway: usize) -> Option<String> {
        ticket(self.gateway(gateway), &format!("x-api-key: {}\r\n", self.reader)).await
    }

    async fn ticket(&self, gateway: usize) -> String {
        self.try_ticket(gateway).await.unwrap()
    }
}

/// Opens a stream; the head of the answer.
async fn open(gateway: SocketAddr, ticket: &str) -> (Peer, String) {
    let path = format!("/sse/sensors/?ticket={ticket}");
    let mut peer = Peer::requesting(gateway, "GET", &path).await.unwrap();
    let head = peer.read_head().await.unwrap();
    (peer, head)
}

async fn status(gateway: SocketAddr, ticket: &str) -> u16 {
    open(gateway, ticket).await.1.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_lets_in_one_of_all_who_come_with_it_at_all_gateways() {
    let fixture = Fixture::new().await;
    for _ in 0..20 {
        let ticket = fixture.ticket(0).await;
        let mut racing = JoinSet::new();
        for number in 0..8 {
            let (gateway, ticket) = (fixture.gateway(number % 2), ticket.clone());
            racing.spawn(async move { status(gateway, &ticket).await });
        }
        let mut seen = racing.join_all().await;
        seen.sort_unstable();
        assert_eq!(seen, [200, 401, 401, 401, 401, 401, 401, 401]);
        assert_eq!(status(fixture.gateway(1), &ticket).await, 401, "later");
    }
    assert_eq!(
        tickets_in_redis(&fixture.stack),
        Vec::<String>::new(),
        "nothing is left of those that were used"
    );
}

fn tickets_in_redis(stack: &Stack) -> Vec<String> {
    let keys = stack.redis.command(&["KEYS", "*:ticket:*"]).unwrap();
    keys.lines().filter(|line| line.starts_with('{')).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_keeps_of_a_ticket_is_no_secret_and_ends_by_itself() {
    let fixture = Fixture::new().await;
    let ticket = fixture.ticket(0).await;
    let redis = &fixture.stack.redis;
    let [name] = tickets_in_redis(&fixture.stack).try_into().unwrap();
    let kept = redis.command(&["GET", &name]).unwrap();
    let secret = fixture.reader.splitn(3, '_').nth(2).unwrap();
    for secret in [&ticket[4..], secret] {
        assert!(!name.contains(secret) && !kept.contains(secret), "{name}: {kept}");
    }
    assert!(kept.contains(id(&fixture.reader)), "{kept}");
    let left: u64 = redis.command(&["PTTL", &name]).unwrap().trim_start_matches(':').trim().parse().unwrap();
    assert!((1..=30_000).contains(&left), "{left}");
    // its time is over
    redis.command(&["PEXPIRE", &name, "0"]).unwrap();
    assert_eq!(status(fixture.gateway(0), &ticket).await, 401);
    // a text that nobody made is not asked for
    redis.command(&["SET", &name, "{}"]).unwrap();
    for ticket in [ticket.as_str(), "rct_x", "", "%00", &fixture.reader] {
        assert_eq!(status(fixture.gateway(0), ticket).await, 401, "{ticket}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_by_a_ticket_is_one_of_its_key_and_ends_with_it() {
    let fixture = Fixture::new().await;
    let (mut stream, _) = open(fixture.gateway(1), &fixture.ticket(0).await).await;
    let path = format!("/ws/sensors/?ticket={}", fixture.ticket(1).await);
    let mut demo = client::connect_demo(fixture.gateway(0), &path).await.unwrap();
    fixture.stack.psql("insert into sensor_readings (sensor_id, value) values ('b', 1), ('a', 2)");
    let shown = tokio::time::timeout(WITHIN, stream.read_until("\"value\":")).await.unwrap().unwrap();
    assert!(!shown.contains(r#""sensor_id":"b""#) && shown.contains(r#""sensor_id":"a""#), "{shown}");
    let frame = client::next_text(&mut demo).await.unwrap();
    assert!(frame.contains(r#""sensor_id":"a""#), "{frame}");
    let unused = fixture.ticket(0).await;
    run(&fixture.stack, &["keys", "revoke", id(&fixture.reader)]);
    let bye = tokio::time::timeout(IN_FORCE, stream.read_until("event: bye")).await.unwrap().unwrap();
    assert!(bye.contains("event: bye"), "{bye}");
    assert!(tokio::time::timeout(IN_FORCE, client::next_text(&mut demo)).await.unwrap().is_err());
    assert_eq!(status(fixture.gateway(1), &unused).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_tickets_are_refused_for_now_and_afterwards_they_are_made_again() {
    let fixture = Fixture::new().await;
    let (gateway, ticket) = (fixture.gateway(0), fixture.ticket(0).await);
    let link = fixture.stack.gateways[0].to_redis.as_ref().unwrap();
    link.set(LinkState::Cut);
    let header = [("x-api-key", fixture.reader.as_str())];
    let refused = http::send(gateway, "POST", "/api/tickets", &header, b"").await.unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{}", refused.body);
    // nor do many who come at once wait for each other, where Redis is silent
    link.set(LinkState::Frozen);
    let mut coming = JoinSet::new();
    for _ in 0..20 {
        let ticket = ticket.clone();
        coming.spawn(async move { tokio::time::timeout(WITHIN, open(gateway, &ticket)).await.unwrap().1 });
    }
    for head in coming.join_all().await {
        assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("retry-after: 1"), "{head}");
    }
    let log = fixture.stack.gateways[0].process.output();
    let lines = log.lines().filter(|line| line.contains("keeping tickets failed")).count();
    assert!((1..=4).contains(&lines), "{lines} lines: {log}");
    link.set(LinkState::Open);
    wait_for("tickets are made again", WITHIN, async || {
        fixture.try_ticket(0).await.map(|_| ()).ok_or("no ticket")
    })
    .await;
    let ticket = fixture.ticket(0).await;
    fixture.stack.gateways[0].await_healthy().await;
    assert_eq!(status(gateway, &ticket).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_that_nobody_uses_are_bounded_for_each_credential() {
    let fixture = Fixture::new().await;
    let header = [("x-api-key", fixture.reader.as_str())];
    let mut made = 0;
    let refused = loop {
        let answer = http::send(fixture.gateway(0), "POST", "/api/tickets", &header, b"").await.unwrap();
        if answer.status != 201 {
            break answer;
        }
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        made += 1;
        assert!(made < 5_000);
    };
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")), "{}", refused.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_is_asked_for_a_credential_a_ticket_is_made_and_means_nothing() {
    let stack = Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap();
    let gateway = stack.gateways[0].public();
    let ticket = ticket(gateway, "").await.unwrap();
    for ticket in [&ticket, &ticket, "none"] {
        assert_eq!(status(gateway, ticket).await, 200);
    }
    assert_eq!(tickets_in_redis(&stack), Vec::<String>::new());
}
