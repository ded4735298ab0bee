//! Attacks that products of this kind have fallen to, one test each; confused keys and algorithms are rows of the matrix, and a
//! replayed ticket is in `tickets`.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use e2e::{Stack, client, http, stack::DATABASE, tokens::Issuer};
use jsonwebtoken::{Algorithm, Header, encode};
use serde_json::json;
use testkit::{
    cost,
    hostile::{Peer, handshake, text},
    wait_for,
};

use super::{credentials::Credentials, probes::ticket, stack};

/// How long an answer that is expected may take.
const WITHIN: Duration = Duration::from_secs(10);

struct Fixture {
    stack: Stack,
    credentials: Credentials,
    _folder: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let credentials = Credentials::new(folder.path());
        let stack = stack(credentials.issuers(), 1).await;
        Self { stack, credentials, _folder: folder }
    }

    fn gateway(&self) -> SocketAddr {
        self.stack.gateways[0].public()
    }

    fn token(&self, read: &[&str]) -> String {
        self.credentials.issuer().token(&self.credentials.issuer().claims("viewer", read))
    }
}

async fn status(addr: SocketAddr, request: &str) -> u16 {
    let mut peer = Peer::sending(addr, request.as_bytes()).await.unwrap();
    let head = peer.read_head().await.unwrap();
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_s_urls_are_never_fetched() {
    let fixture = Fixture::new().await;
    let bait = TcpListener::bind("127.0.0.1:0").unwrap();
    bait.set_nonblocking(true).unwrap();
    let url = format!("http://{}/jwks", bait.local_addr().unwrap());
    let forger = Issuer::new(&url, "new", Algorithm::ES256).unwrap();
    let header = Header {
        kid: Some("new".to_owned()),
        jku: Some(url.clone()),
        x5u: Some(url.clone()),
        ..Header::new(Algorithm::ES256)
    };
    let mut claims = forger.claims("viewer", &["*"]);
    claims["jwks_uri"] = json!(url);
    let token = encode(&header, &claims, &forger.key).unwrap();
    for (addr, method, path) in [
        (fixture.gateway(), "GET", "/api/latest"),
        (fixture.gateway(), "POST", "/api/tickets"),
        (fixture.stack.ingest.public(), "POST", "/api/sensors/"),
    ] {
        let bearer = format!("Bearer {token}");
        let answer = http::send(addr, method, path, &[("authorization", &bearer)], b"").await.unwrap();
        assert_eq!(answer.status, 401, "{path}");
    }
    let fetched = bait.accept();
    assert!(fetched.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "somebody was here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_page_gets_nothing_whatever_credential_it_has() {
    let fixture = Fixture::new().await;
    let token = fixture.token(&["*"]);
    let bearer = format!("authorization: Bearer {token}\r\n");
    for origin in ["https://evil.example", "null"] {
        let origin = format!("origin: {origin}\r\n");
        let fresh = ticket(fixture.gateway(), &bearer).await.unwrap();
        let by_ticket = format!("/ws/sensors/?ticket={fresh}");
        let offered = format!("{origin}sec-websocket-protocol: rowcast.v1, bearer.{token}\r\n");
        for request in [
            handshake("/ws/sensors/?v=1", &format!("{origin}{bearer}")),
            handshake("/ws/sensors/", &format!("{origin}{bearer}")),
            handshake("/ws/sensors/", &offered),
            // its client would say who it is afterwards
            handshake("/ws/sensors/?v=1", &origin),
            handshake(&by_ticket, &origin),
            format!("GET /sse/sensors/ HTTP/1.1\r\nhost: {}\r\n{origin}{bearer}\r\n", http::HOST),
            format!(
                "POST /api/tickets HTTP/1.1\r\nhost: {}\r\n{origin}{bearer}content-length: 0\r\n\r\n",
                http::HOST
            ),
        ] {
            assert_eq!(status(fixture.gateway(), &request).await, 403, "{request}");
        }
        assert_eq!(
            status(fixture.gateway(), &handshake(&by_ticket, "")).await,
            101,
            "the ticket was not used"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_subprotocol_and_no_message_lets_a_client_in_without_a_credential() {
    let fixture = Fixture::new().await;
    for offered in
        ["rowcast.v1, bearer.", "rowcast.v1, bearer.x", "bearer.a.b.c", "rowcast.v1, bearer.a, bearer.b"]
    {
        let lines = format!("sec-websocket-protocol: {offered}\r\n");
        let status = status(fixture.gateway(), &handshake("/ws/sensors/?v=1", &lines)).await;
        assert!(matches!(status, 400 | 401), "{offered}: {status}");
    }
    for offered in ["", "bearer", "Bearer.x", "rowcast.v2"] {
        let lines =
            if offered.is_empty() { String::new() } else { format!("sec-websocket-protocol: {offered}\r\n") };
        assert_eq!(status(fixture.gateway(), &handshake("/ws/sensors/", &lines)).await, 401, "{offered}");
    }
    // a v1 client may still say who it is; until then nothing is told and nothing else is taken
    fixture.stack.psql("insert into sensor_readings (sensor_id, value) values ('acme/1', 1)");
    for first in [
        r#"{"id":1,"subscribe":{}}"#,
        r#"{"id":1,"ping":{}}"#,
        r#"[{"id":1,"subscribe":{"from":"latest"}},{"auth":{"token":"a.b.c"}}]"#,
        r#"{"id":1,"auth":{"token":""}}"#,
        r#"{"id":1,"auth":{}}"#,
        "acme/1",
    ] {
        let mut peer =
            Peer::sending(fixture.gateway(), handshake("/ws/sensors/?v=1&from=latest", "").as_bytes())
                .await
                .unwrap();
        assert!(peer.read_head().await.unwrap().starts_with("HTTP/1.1 101"));
        peer.send(&text(first)).await.unwrap();
        let said = peer.read_until_closed(WITHIN).await.expect("it is closed");
        let said = String::from_utf8_lossy(&said);
        assert!(
            !said.contains("hello") && !said.contains("acme/1") && !said.contains("\"pos\""),
            "{first}: {said}"
        );
        assert!(said.contains("not-authenticated") || said.contains("bad-message"), "{first}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn line_breaks_in_what_devices_and_urls_say_stay_data() {
    let fixture = Fixture::new().await;
    let bearer = format!("authorization: Bearer {}\r\n", fixture.token(&["*"]));
    let request = format!("GET /sse/sensors/ HTTP/1.1\r\nhost: {}\r\n{bearer}\r\n", http::HOST);
    let mut stream = Peer::sending(fixture.gateway(), request.as_bytes()).await.unwrap();
    stream.read_until("event: live").await.unwrap();
    // an id cannot have one, whoever writes it
    let forged = r"insert into sensor_readings (sensor_id, value) values (E'a\r\nevent: forged\r\ndata: {}\r\n\r\n', 1)";
    assert!(fixture.stack.postgres.psql(DATABASE, forged).is_err());
    fixture.stack.psql(
        r#"insert into sensor_readings (sensor_id, value, metadata) values
           ('first', 1, '{"k\r\nevent: forged\n\nid: 9": "\u2028\revent: forged\n\n"}'), ('last', 2, '{}')"#,
    );
    let said = stream.read_until(r#""sensor_id":"last""#);
    let said = tokio::time::timeout(WITHIN, said).await.unwrap().unwrap();
    let lines = || said.split(['\r', '\n']);
    assert!(said.contains(r"k\r\nevent: forged"), "it is shown as it is: {said}");
    assert!(!lines().any(|line| line.starts_with("event: forged") || line == "id: 9"), "{said}");
    // what a URL says comes back in `Link` alone, and a token's subject nowhere
    let mut claims = fixture.credentials.issuer().claims("x\r\nset-cookie: forged=1", &["*"]);
    claims["jti"] = json!("y\r\nset-cookie: forged=1");
    let token = format!("Bearer {}", fixture.credentials.issuer().token(&claims));
    let path = "/api/readings?limit=1&sensor=*%0d%0aset-cookie:%20forged=1,*";
    let answer = http::send(fixture.gateway(), "GET", path, &[("authorization", &token)], b"").await.unwrap();
    assert!(answer.header("set-cookie").is_none(), "{}", answer.head);
    let path = "/api/readings?limit=1&sensor=a%0d%0aevent:%20forged%0d%0adata:%20%7B%7D%0d%0a%0d%0a,last";
    let answer = http::send(fixture.gateway(), "GET", path, &[("authorization", &token)], b"").await.unwrap();
    assert!(!answer.head.contains("\nevent:"), "{}", answer.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_not_said_who_it_is_takes_little_memory_and_is_gone_in_time() {
    const SOCKETS: usize = 400;
    let fixture = Fixture::new().await;
    let gateway = &fixture.stack.gateways[0];
    let resident = || cost::resident(gateway.process.id()).unwrap();
    let unfinished = |bytes: usize| {
        let mut frame = testkit::hostile::frame(0x81, bytes as u64 + 1, &vec![b'x'; bytes]);
        frame.truncate(frame.len().saturating_sub(1));
        frame
    };
    let mut waiting = Vec::new();
    let before = resident();
    for number in 0..SOCKETS {
        let mut peer =
            Peer::sending(gateway.public(), handshake("/ws/sensors/?v=1", "").as_bytes()).await.unwrap();
        assert!(peer.read_head().await.unwrap().starts_with("HTTP/1.1 101"), "{number}");
        // a message that is announced and never ends
        peer.send(&unfinished(16 << 10)).await.unwrap();
        waiting.push(peer);
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < SOCKETS as u64 * (48 << 10), "{} bytes each", grown / SOCKETS as u64);
    for mut peer in waiting {
        assert!(peer.read_until_closed(Duration::from_secs(20)).await.is_some());
    }
    wait_for("all are gone", WITHIN, async || match gateway.metric("rowcast_gateway_sessions").await {
        Ok(0.0) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    // unknown keys and tokens leave nothing behind: not a bucket, not a fetch
    let before = resident();
    let forger = Issuer::new("https://first.example", "none", Algorithm::ES256).unwrap();
    for number in 0..2_000 {
        let key = format!("rck_{number:012}_{}", "A".repeat(43));
        let token = forger.token(&forger.claims(&format!("viewer-{number}"), &["*"]));
        for credential in [&key, &token] {
            let answer =
                http::send(gateway.public(), "GET", "/api/latest", &[("x-api-key", credential)], b"").await;
            assert_eq!(answer.unwrap().status, 401);
        }
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes");
    let (mut socket, _) = tokio::time::timeout(WITHIN, async {
        let mut socket = client::connect_v1(gateway.public()).await.unwrap();
        client::send(
            &mut socket,
            &json!({ "id": 1, "auth": { "token": fixture.token(&["*"]) } }).to_string(),
        )
        .await;
        let told = client::messages_until(&mut socket, |told| told.auth.is_some()).await;
        (socket, told)
    })
    .await
    .unwrap();
    client::try_send(&mut socket, "{}").await.unwrap();
}
