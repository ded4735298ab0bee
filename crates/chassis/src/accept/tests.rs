//! A port on a socket of its own, as seen by clients.

mod answers;
mod clients;
mod heads;
mod http2;
mod port;
mod proxies;
mod sockets;
mod stop;
mod tls;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Extension;
use axum::Router;
use axum::routing::{get, post};
use http::StatusCode;
use instruments::Registry;
use prometheus::TextEncoder;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::Client;
use super::config::HttpConfig;
use super::entry::Entry;
use super::limits::Limits;
use super::listen::bind;
use super::serve_with;
use super::tls::Rotation;
use crate::life::Life;
use crate::metrics::HttpMetrics;

/// No test waits this long unless it fails.
const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(200);

struct Rig {
    life: Life,
    addr: SocketAddr,
    registry: Registry,
    /// Of a port with TLS.
    rotation: Option<Rotation>,
}

impl Rig {
    async fn start(router: Router, max_connections: usize, limits: Limits) -> Self {
        let config = HttpConfig { max_connections, ..HttpConfig::default() };
        Self::configured(router, &config, limits).await
    }

    async fn configured(router: Router, config: &HttpConfig, limits: Limits) -> Self {
        let (life, registry) = (Life::new(), Registry::new());
        let listener = bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let metrics = HttpMetrics::register(&registry).unwrap();
        let expiry = metrics.certificate_expiry.clone();
        let paths = config.tls.paths().unwrap();
        let rotation = paths.map(|paths| Rotation::begin(paths, expiry).unwrap());
        let tls = rotation.as_ref().map(Rotation::tls);
        let entry = Entry::new(config, tls, metrics.rejected.clone()).unwrap();
        serve_with(&life, listener, (config, entry), router, &metrics, limits);
        Self { life, addr, registry, rotation }
    }

    async fn plain() -> Self {
        Self::start(hello(), 100, Limits::default()).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    fn metrics(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap()
    }

    /// The server's response to these bytes, until it closes the connection.
    async fn exchange(&self, bytes: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        to_end(&mut stream).await
    }

    async fn wait_for_metric(&self, line: &str) {
        let seen = timeout(LONG, async {
            while !self.metrics().lines().any(|have| have == line) {
                tokio::task::yield_now().await;
            }
        });
        assert!(seen.await.is_ok(), "no {line} in:\n{}", self.metrics());
    }
}

fn hello() -> Router {
    Router::new()
        .route("/hello/{name}", get(|| async { "hello" }))
        .route("/echo", post(|body: String| async { body }))
        .route(
            "/client",
            get(|Extension(client): Extension<Client>| async move { client.address().to_string() }),
        )
}

/// A route whose response is larger than what sockets buffer.
fn large() -> Router {
    Router::new().route("/large", get(|| async { vec![b'x'; 32 << 20] }))
}

async fn to_end(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut received = Vec::new();
    match timeout(LONG, stream.read_to_end(&mut received)).await {
        Ok(_) => String::from_utf8_lossy(&received).into_owned(),
        Err(_) => panic!("the connection was not closed; received: {}", String::from_utf8_lossy(&received)),
    }
}

/// Reads up to and with these bytes.
async fn read_until(stream: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut received = Vec::new();
    while !received.ends_with(end.as_bytes()) {
        let byte = timeout(LONG, stream.read_u8()).await;
        let byte = byte.unwrap_or_else(|_| panic!("only: {}", String::from_utf8_lossy(&received)));
        received.push(byte.unwrap());
    }
    String::from_utf8(received).unwrap()
}

#[track_caller]
fn assert_problem(answer: &str, status: StatusCode, code: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {}", status.as_u16())), "{answer}");
    assert!(answer.contains("content-type: application/problem+json"), "{answer}");
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["type"], format!("urn:rowcast:problem:{code}"));
    assert_eq!(body["status"], status.as_u16());
    assert!(body["error"].is_string() && body["title"].is_string(), "{body}");
}
