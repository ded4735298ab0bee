//! One connection, from its first byte to its close.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::header::CONNECTION;
use http::{HeaderMap, HeaderValue, Request, Version};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use instruments::{By, IntCounter, Label};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tower::ServiceExt;
use tracing::debug;

use super::answer::{AnswerBody, AnswerBudget, BudgetExceeded, OpenRequest, Share};
use super::body::{Late, TimedBody};
use super::client::Client;
use super::config::HttpConfig;
use super::entry::{Entered, Entry, Shared};
use super::flow::{Alarm, Flow};
use super::handover::{Due, Handover};
use super::heads::{Heads, LARGE_HEADS};
use super::io::Watched;
use super::limits::{Limits, Overdue};
use super::permit::Permit;
use super::stream::Stream;
use super::{forwarded, guard};
use crate::life::Life;
use crate::prefix::Prefix;
use crate::problem::Refusal;

/// hyper answers an oversized head itself, with an empty 431. Its limits are a little above ours, so that a head that is
/// slightly too large gets our response, and one that is far too large is not read at all.
const PARSER_HEADERS: usize = 2 * guard::MAX_HEADERS;
/// Also bounds the read buffer of a connection that is not upgraded.
const PARSER_BYTES: usize = 2 * guard::MAX_HEADER_BYTES;

/// The same in HTTP/2, which counts 32 bytes more for each header.
const HTTP2_HEADER_BYTES: u32 = 20 << 10;

/// Streams of one HTTP/2 connection at a time: what RFC 9113 §6.5.2 recommends at least, and a little more.
const MAX_STREAMS: u32 = 128;
/// Bytes of request bodies of one HTTP/2 connection that were received and not read yet.
const WINDOW_BYTES: u32 = 256 << 10;
/// Streams that a peer resets before they are served, and streams that are reset for its faults: a peer with more is
/// disconnected (CVE-2023-44487, CVE-2025-8671). Honest clients cancel a few at a time.
const MAX_RESETS: usize = 32;
/// The send buffer of an HTTP/2 stream, in bytes.
const SEND_BYTES: usize = 64 << 10;
/// The interval of HTTP/2 pings; a connection whose peer does not answer one is closed.
const PING_EVERY: Duration = Duration::from_secs(20);

/// The kernel takes no more than this ahead of what it can send: what waits for a slow peer waits in the service, where
/// it is counted and bounded, and not in megabytes of socket buffers.
const UNSENT_BYTES: u32 = 128 << 10;

/// Data that is not acknowledged for this long ends the connection (`TCP_USER_TIMEOUT`). Without it, a peer that vanished
/// is kept until TCP gives up, a quarter of an hour later.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// The most HTTP/2 connections at a time: with all streams at their largest heads, each may hold some 3 MiB. Proxies use
/// them and need few; other clients use HTTP/1.
const HTTP2_CONNECTIONS: usize = 64;

/// The first bytes of every HTTP/2 connection; no served HTTP/1 method begins with them.
const HTTP2_BEGINS: &[u8] = b"PRI";

/// What every socket is set to.
fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))
}

pub(super) struct Server {
    life: Life,
    router: Router,
    prefix: Prefix,
    entry: Entry,
    limits: Limits,
    budget: AnswerBudget,
    large_heads: Arc<Semaphore>,
    http2_connections: Semaphore,
    overdue: By<Overdue, IntCounter>,
    http1: http1::Builder,
    http2: http2::Builder<OnLife>,
}

impl Server {
    pub(super) fn new(
        life: Life,
        router: Router,
        (config, entry): (&HttpConfig, Entry),
        limits: Limits,
        overdue: By<Overdue, IntCounter>,
    ) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            // hyper's own deadline counts from the end of the previous response and cannot distinguish idle from slow
            .header_read_timeout(None)
            .max_headers(PARSER_HEADERS)
            .max_header_size(PARSER_BYTES)
            .max_buf_size(PARSER_BYTES);
        let mut http2 = http2::Builder::new(OnLife(life.clone()));
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .max_pending_accept_reset_streams(MAX_RESETS)
            .max_local_error_reset_streams(MAX_RESETS)
            .max_send_buf_size(SEND_BYTES)
            .max_header_list_size(HTTP2_HEADER_BYTES)
            .keep_alive_interval(PING_EVERY);
        let (budget, large_heads) =
            (AnswerBudget::new(config.answer_bytes), Arc::new(Semaphore::new(LARGE_HEADS)));
        let http2_connections = Semaphore::new(HTTP2_CONNECTIONS);
        let prefix = config.prefix.clone();
        Self {
            life,
            router,
            prefix,
            entry,
            limits,
            budget,
            large_heads,
            http2_connections,
            overdue,
            http1,
            http2,
        }
    }

    pub(super) const fn has_tls(&self) -> bool {
        self.entry.has_tls()
    }

    /// Serves the connection to its end. Must not be awaited past the hard stop.
    pub(super) async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, permit: Permit) {
        // fails only on a closed socket, which the next read reports
        let _ = prepare(&stream);
        let Some(Entered { stream, peer, http2 }) = self.enter(stream, peer.ip()).await else { return };
        let (is_http2, is_tls) = (http2.is_some(), stream.is_tls());
        let flow = Arc::new(Flow::new(self.limits));
        let heads = (!is_http2).then(|| Heads::new(Arc::clone(&self.large_heads)));
        let io = TokioIo::new(Watched::new(stream, flow.clone(), heads));
        let handover = Handover::default();
        let share = self.budget.share(is_http2);
        let (server, http) = (Arc::clone(&self), (flow.clone(), handover.clone()));
        let is_proxied = self.entry.proxies().contains(peer);
        let requests = Arc::new(Requests {
            server,
            peer,
            is_proxied,
            is_tls,
            permit,
            flow: http.0,
            handover: http.1,
            share,
        });
        let service = service_fn(move |request| Arc::clone(&requests).answer(request));
        let end = if is_http2 {
            let connection = std::pin::pin!(self.http2.serve_connection(io, service));
            self.run(connection, (&flow, &handover), http2::Connection::graceful_shutdown).await
        } else {
            let mut connection = self.http1.serve_connection(io, service).with_upgrades();
            let close = http1::UpgradeableConnection::graceful_shutdown;
            match self.run(Pin::new(&mut connection), (&flow, &handover), close).await {
                End::Due(due) => self.hand_over(connection.into_parts().map(|parts| parts.io), due).await,
                end => end,
            }
        };
        match end {
            End::Overdue(overdue) => {
                self.overdue.of(overdue).inc();
                debug!(%peer, deadline = overdue.label(), "connection closed: deadline exceeded");
            }
            End::Done | End::Due(_) => {}
            End::Failed(fault) => debug!(%peer, %fault, "connection ended"),
        }
    }

    /// `None`: the connection may not speak HTTP, or its peer took too long to get there.
    async fn enter(&self, stream: TcpStream, peer: IpAddr) -> Option<Entered<'_>> {
        let mut entered = if self.entry.is_open() {
            Entered { stream: Stream::Bare(stream), peer, http2: None }
        } else {
            self.pass(stream, peer).await?
        };
        // under TLS the handshake has told
        if let Stream::Bare(stream) = &entered.stream
            && self.detect_http2(stream).await?
        {
            let Ok(permit) = self.http2_connections.try_acquire() else {
                debug!(%peer, "too many HTTP/2 connections");
                return None;
            };
            entered.http2 = Some(permit);
        }
        Some(entered)
    }

    async fn pass(&self, stream: TcpStream, peer: IpAddr) -> Option<Entered<'_>> {
        let shared = Shared { large_heads: &self.large_heads, http2: &self.http2_connections };
        // on the heap, for this time alone: an idle connection would keep the place for it
        let passing = Box::pin(timeout(self.limits.head, self.entry.pass(stream, peer, shared)));
        let passed = self.life.soft().run_until_cancelled(passing).await?;
        passed.unwrap_or_else(|_| {
            self.overdue.of(Overdue::Head).inc();
            debug!(%peer, deadline = Overdue::Head.label(), "connection closed: deadline exceeded");
            None
        })
    }

    async fn hand_over(&self, io: Option<TokioIo<Watched>>, due: Due) -> End {
        let Some(io) = io else { return End::Done };
        match timeout(self.limits.write, due.complete(io.into_inner().into_socket())).await {
            Ok(_) => End::Done,
            Err(_) => End::Overdue(Overdue::Write),
        }
    }

    /// Peeks at the first bytes to detect HTTP/2. `None`: none arrived in time, or the service stops. A client that sends
    /// less than three bytes at first is served as HTTP/1, which waits for the rest.
    async fn detect_http2(&self, stream: &TcpStream) -> Option<bool> {
        let mut first = [0; HTTP2_BEGINS.len()];
        let seen = self.life.soft().run_until_cancelled(timeout(self.limits.head, stream.peek(&mut first)));
        let count = seen.await?.ok()?.ok()?;
        (count > 0).then(|| first[..count] == *HTTP2_BEGINS)
    }

    /// Runs the connection until it ends, the peer exceeds a deadline, or a handler takes the socket.
    async fn run<C>(
        &self,
        mut connection: Pin<&mut C>,
        (flow, handover): (&Flow, &Handover),
        close: impl Fn(Pin<&mut C>),
    ) -> End
    where
        C: Future<Output = hyper::Result<()>>,
    {
        // its own, as in `Life::cuttable`
        let stopping = self.life.soft().child_token();
        let (mut alarm, mut closing) = (Alarm::new(flow), false);
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => return ended.map_or_else(End::Failed, |()| End::Done),
                due = poll_fn(|_| handover.poll_due(flow)) => return End::Due(due),
                () = stopping.cancelled(), if !closing => {}
                overdue = flow.overdue(&mut alarm) => match overdue {
                    // HTTP/2 sends GOAWAY first; HTTP/1 has no such message and ends
                    Overdue::Idle if !closing => {}
                    Overdue::Idle => return End::Done,
                    overdue => return End::Overdue(overdue),
                },
            }
            closing = true;
            flow.ending();
            close(connection.as_mut());
        }
    }
}

/// How a connection ended, as far as HTTP is concerned.
enum End {
    Done,
    Failed(hyper::Error),
    Overdue(Overdue),
    /// A handler takes the socket.
    Due(Due),
}

/// What the requests of one connection have in common.
struct Requests {
    server: Arc<Server>,
    peer: IpAddr,
    /// Whether the peer is a trusted proxy.
    is_proxied: bool,
    is_tls: bool,
    permit: Permit,
    flow: Arc<Flow>,
    handover: Handover,
    share: Share,
}

impl Requests {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response, Infallible> {
        let open = OpenRequest::new(self.flow.clone());
        let Some(response) = self.handover.keep(self.respond(request).await) else {
            // the connection ends before this does
            return std::future::pending().await;
        };
        let (response, permit) = match self.share.take(&response) {
            Ok(permit) => (response, permit),
            Err(BudgetExceeded) => (Refusal::AnswersWait.response(), None),
        };
        Ok(response.map(|body| Body::new(AnswerBody::new(body, open, permit))))
    }

    fn client(&self, headers: &HeaderMap) -> Client {
        let address = if self.is_proxied {
            forwarded::client(headers, self.peer, self.server.entry.proxies())
        } else {
            self.peer
        };
        Client::new(address, self.is_tls)
    }

    async fn respond(&self, mut request: Request<Incoming>) -> Response {
        let version = request.version();
        if let Err(problem) = guard::check(&mut request) {
            return refusal(problem, version);
        }
        let client = self.client(request.headers());
        self.server.prefix.strip(request.uri_mut());
        let late = Late::default();
        let deadline = Instant::now() + self.server.limits.body;
        let can_leave = version == Version::HTTP_11 && request.body().is_end_stream();
        let mut request = request.map(|body| Body::new(TimedBody::new(body, deadline, late.clone())));
        request.extensions_mut().insert(client);
        request.extensions_mut().insert(self.permit.clone());
        if can_leave {
            request.extensions_mut().insert(self.handover.clone());
        }
        let Ok(response) = self.server.router.clone().oneshot(request).await;
        if late.is_set() { refusal(Refusal::BodyTimeout, version) } else { response }
    }
}

/// Also closes an HTTP/1 connection: the rest of the refused request may still arrive.
fn refusal(problem: Refusal, version: Version) -> Response {
    let mut response = problem.response();
    if version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Runs HTTP/2's streams as tasks of the service, so that the drain waits for them and the hard stop drops them.
#[derive(Clone)]
struct OnLife(Life);

impl<F> hyper::rt::Executor<F> for OnLife
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn_work(task);
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_connection_whose_peer_vanished_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        prepare(&stream).unwrap();
        assert_eq!(SockRef::from(&stream).tcp_user_timeout().unwrap(), Some(UNACKNOWLEDGED));
    }
}
