//! Every door, and how it is tried.

use std::{net::SocketAddr, time::Duration};

use e2e::{Stack, http};
use testkit::{
    hostile::{Peer, handshake, text},
    wait_for,
};

use super::credentials::{Credential, Verdict};

/// How long an answer that is expected may take.
const WITHIN: Duration = Duration::from_secs(10);

/// How a door is asked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ask {
    /// POST with this body of this type.
    Post(&'static str, &'static str),
    /// GET with this query.
    Get(&'static str),
    /// GET of what came after a position.
    Since,
    /// A stream of events.
    Events,
    /// A WebSocket.
    Socket,
    /// POST for a ticket.
    Ticket,
}

/// A door.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) path: &'static str,
    pub(super) method: &'static str,
    pub(super) ask: Ask,
    pub(super) writes: bool,
    /// Whether those who may see the reading see it here.
    pub(super) shows: bool,
    pub(super) is_sensor: bool,
}

/// What somebody saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) shows: bool,
    pub(super) stored: bool,
}

const JSON: &str = "application/json";
const READING: &str = r#"{"sensor_id":"acme/2","value":2}"#;
const LINE: &str = "acme,tag=x value=1 1795419000000000000";

const fn post(path: &'static str, body: &'static str, content_type: &'static str) -> Door {
    let ask = Ask::Post(body, content_type);
    Door { path, method: "POST", ask, writes: true, shows: false, is_sensor: false }
}

const fn read(path: &'static str, ask: Ask) -> Door {
    Door { path, method: "GET", ask, writes: false, shows: true, is_sensor: false }
}

/// All doors.
pub(super) const DOORS: &[Door] = &[
    post("/api/sensors/", READING, JSON),
    post("/api/sensors", "[{\"sensor_id\":\"acme/2\",\"value\":2}]", JSON),
    post("/api/v1/sensors-readings/", READING, "application/x-ndjson"),
    post("/api/v1/sensors-readings", READING, JSON),
    post("/api/v2/write", LINE, "text/plain"),
    post("/write", LINE, "text/plain"),
    post("/hooks/{name}", r#"{"device":"acme/2","number":3}"#, JSON),
    Door { writes: true, shows: false, ..read("/query", Ask::Get("?q=CREATE+DATABASE+a")) },
    read("/api/sensors/", Ask::Get("?limit=1000")),
    read("/api/sensors", Ask::Get("?sensor_id=acme/1")),
    read("/api/v1/sensors-readings/", Ask::Get("?limit=1000")),
    read("/api/v1/sensors-readings", Ask::Get("?sensor_id=acme/1")),
    read("/api/readings", Ask::Get("?limit=1000")),
    read("/api/latest", Ask::Get("?sensor=acme*")),
    Door { is_sensor: true, ..read("/api/sensors/{sensor_id}", Ask::Get("")) },
    read("/api/changes", Ask::Since),
    Door { method: "POST", shows: false, ..read("/api/tickets", Ask::Ticket) },
    read("/sse/sensors/", Ask::Events),
    read("/sse/sensors", Ask::Events),
    read("/ws/sensors/", Ask::Socket),
    read("/ws/sensors", Ask::Socket),
    read("/ws/sensor-readings/", Ask::Socket),
    read("/ws/sensor-readings", Ask::Socket),
];

/// What anybody may ask for.
pub(super) const PUBLIC: [&str; 4] = ["/ping", "/health", "/openapi.json", "/asyncapi.json"];

impl Door {
    /// Tries it in every way that the credential can be handed over.
    pub(super) async fn probe(
        &self,
        stack: &Stack,
        credential: &Credential,
        since: &str,
    ) -> Vec<(String, Seen)> {
        let gateway = stack.gateways[0].public();
        let lines = credential.header.as_ref().map(|(name, value)| format!("{name}: {value}\r\n"));
        let lines = lines.unwrap_or_default();
        match self.ask {
            Ask::Socket => self.sockets(gateway, credential, &lines).await,
            Ask::Events => {
                let mut seen = vec![("header".to_owned(), events(gateway, self.path, &lines).await)];
                if let Some(ticket) = ticket(gateway, &lines).await {
                    let path = format!("{}?ticket={ticket}", self.path);
                    seen.push(("ticket".to_owned(), events(gateway, &path, "").await));
                }
                seen
            }
            Ask::Ticket => {
                vec![("header".to_owned(), self.ask_http(gateway, self.path, ("", JSON), &lines).await)]
            }
            Ask::Post(body, content_type) => {
                let path = self.path.replace("{name}", "test");
                let seen = self.ask_http(stack.ingest.public(), &path, (body, content_type), &lines).await;
                vec![("header".to_owned(), Seen { stored: seen.status / 100 == 2, ..seen })]
            }
            Ask::Get(query) => {
                let is_ingest = documents::paths(documents::INGEST).contains(self.path);
                let addr = if is_ingest { stack.ingest.public() } else { gateway };
                let path = format!("{}{query}", self.path.replace("{sensor_id}", "acme%2F1"));
                vec![("header".to_owned(), self.ask_http(addr, &path, ("", JSON), &lines).await)]
            }
            Ask::Since => {
                let path = format!("{}?since={since}", self.path);
                vec![("header".to_owned(), self.ask_http(gateway, &path, ("", JSON), &lines).await)]
            }
        }
    }

    async fn ask_http(
        &self,
        addr: SocketAddr,
        path: &str,
        (body, content_type): (&str, &str),
        lines: &str,
    ) -> Seen {
        let request = format!(
            "{} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: {content_type}\r\n{lines}\
             content-length: {}\r\n\r\n{body}",
            self.method,
            http::HOST,
            body.len()
        );
        let answer = http::exchange(addr, request.as_bytes()).await.unwrap();
        let shows = !self.writes && answer.body.contains("\"acme/1\"");
        Seen { status: answer.status, head: answer.head, shows, stored: false }
    }

    async fn sockets(&self, addr: SocketAddr, credential: &Credential, lines: &str) -> Vec<(String, Seen)> {
        let v1 = format!("{}?v=1&from=latest", self.path);
        let mut seen = vec![("demo".to_owned(), demo(addr, self.path, lines).await)];
        if let Some(ticket) = ticket(addr, lines).await {
            let path = format!("{}?ticket={ticket}", self.path);
            seen.push(("demo by ticket".to_owned(), demo(addr, &path, "").await));
        }
        if let Some(ticket) = ticket(addr, lines).await {
            seen.push(("ticket".to_owned(), socket(addr, &format!("{v1}&ticket={ticket}"), "").await));
        }
        if let Some(token) = &credential.bearer {
            seen.push(("header".to_owned(), socket(addr, &v1, lines).await));
            let offered = format!("sec-websocket-protocol: rowcast.v1, bearer.{token}\r\n");
            seen.push(("subprotocol".to_owned(), socket(addr, &v1, &offered).await));
            let is_refused = matches!(credential.read, Verdict::Refused(_));
            seen.push(("verb".to_owned(), first_message(addr, &v1, token, is_refused).await));
        }
        seen
    }
}

/// A demo client is shown what comes later: here it is let in, or not.
async fn demo(addr: SocketAddr, path: &str, lines: &str) -> Seen {
    socket_head(addr, path, lines).await.1
}

async fn socket_head(addr: SocketAddr, path: &str, lines: &str) -> (Peer, Seen) {
    let mut peer = Peer::sending(addr, handshake(path, lines).as_bytes()).await.unwrap();
    let head = peer.read_head().await.unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (peer, Seen { status, head, ..Seen::default() })
}

/// A v1 client that asks for a snapshot, with its handshake.
async fn socket(addr: SocketAddr, path: &str, lines: &str) -> Seen {
    let (mut peer, seen) = socket_head(addr, path, lines).await;
    if seen.status != 101 {
        return seen;
    }
    let shown = read_until(&mut peer, "\"live\"").await;
    Seen { shows: shown.contains("acme/1"), ..seen }
}

/// The same, which says who it is by its first message. A close stands for the status of its reason.
async fn first_message(addr: SocketAddr, path: &str, token: &str, is_refused: bool) -> Seen {
    let (mut peer, seen) = socket_head(addr, path, "").await;
    peer.send(&text(&format!(r#"{{"id":1,"auth":{{"token":"{token}"}}}}"#))).await.unwrap();
    let said = read_until(&mut peer, if is_refused { "\"resume\":" } else { "\"live\"" }).await;
    let status = match () {
        () if said.contains("not-authenticated") => 401,
        () if said.contains("forbidden") => 403,
        () => seen.status,
    };
    Seen { status, shows: said.contains("acme/1"), ..seen }
}

async fn read_until(peer: &mut Peer, wanted: &str) -> String {
    tokio::time::timeout(WITHIN, peer.read_until(wanted)).await.unwrap().unwrap()
}

async fn events(addr: SocketAddr, path: &str, lines: &str) -> Seen {
    let parted_by = if path.contains('?') { '&' } else { '?' };
    let request = format!("GET {path}{parted_by}from=latest HTTP/1.1\r\nhost: {}\r\n{lines}\r\n", http::HOST);
    let mut peer = Peer::sending(addr, request.as_bytes()).await.unwrap();
    let head = peer.read_head().await.unwrap();
    let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
    let shown = match status {
        200 => read_until(&mut peer, "event: live").await,
        _ => String::new(),
    };
    Seen { status, head, shows: shown.contains("acme/1"), stored: false }
}

/// A ticket for who has this credential, if it gets one.
pub(super) async fn ticket(addr: SocketAddr, lines: &str) -> Option<String> {
    let request = format!(
        "POST /api/tickets HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{lines}content-length: 0\r\n\r\n",
        http::HOST
    );
    let answer = http::exchange(addr, request.as_bytes()).await.unwrap();
    answer.json()["ticket"].as_str().map(str::to_owned)
}

/// The position before the reading.
pub(super) async fn position(stack: &Stack, table: &[Credential]) -> String {
    let answer = get(stack, table, "/api/changes").await;
    answer.json()["next"].as_str().unwrap().to_owned()
}

/// Waits until the gateway shows the reading as a sensor's newest.
pub(super) async fn await_latest(stack: &Stack, table: &[Credential]) {
    wait_for("the reading is shown", WITHIN, async || {
        let answer = get(stack, table, "/api/latest").await;
        if answer.body.contains("acme/1") { Ok(()) } else { Err(answer.body) }
    })
    .await;
}

async fn get(stack: &Stack, table: &[Credential], path: &str) -> http::Answer {
    let reader = table.iter().find(|credential| credential.name == "reader").unwrap();
    let (name, value) = reader.header.as_ref().unwrap();
    http::send(stack.gateways[0].public(), "GET", path, &[(name, value)], b"").await.unwrap()
}
