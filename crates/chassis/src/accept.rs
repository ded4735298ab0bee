//! The public port: accept, cap, and hand each connection to its server.

mod answer;
mod body;
mod connection;
mod flow;
mod guard;
mod handover;
mod io;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use prometheus::IntGauge;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{info, warn};

pub use self::answer::Holds;
use self::connection::Server;
pub(crate) use self::flow::Overdue;
pub use self::handover::Handover;
use self::io::Watched;
use crate::config::Faults;
use crate::life::Life;
use crate::metrics::HttpMetrics;
use crate::observe::observe;
use crate::prefix::Prefix;
use crate::problem::Refusal;

/// The section `http`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    pub addr: SocketAddr,
    /// The path prefix under which a proxy that does not rewrite paths exposes the service.
    pub prefix: Prefix,
    /// Open connections at most, upgraded ones included while they hold their [`Seat`]; each costs a descriptor.
    pub max_connections: usize,
    /// How long a connection may be without a request. Above the 60 s of most balancers, so that they close first.
    #[serde(with = "crate::duration")]
    pub idle_timeout: Duration,
    /// Bytes of answers that may wait for their clients, all together; with more, a request is answered by 503.
    pub answer_bytes: usize,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            addr: (Ipv4Addr::UNSPECIFIED, 8080).into(),
            prefix: Prefix::default(),
            max_connections: 20_000,
            idle_timeout: Duration::from_secs(75),
            answer_bytes: 64 << 20,
        }
    }
}

impl HttpConfig {
    /// What is wrong with it. `own` are the first segments of the paths that are served.
    pub fn validate(&self, own: &[&str], faults: &mut Faults) {
        if let Some(fault) = self.prefix.fault(own) {
            faults.add("http.prefix", fault);
        }
        if self.max_connections == 0 {
            faults.add("http.max_connections", "must be at least 1");
        }
        if self.idle_timeout < Duration::from_secs(1) {
            faults.add("http.idle_timeout", "must be at least 1s");
        }
        if self.answer_bytes < 1 << 20 {
            faults.add("http.answer_bytes", "must be at least 1048576");
        }
    }
}

/// How long a client may take; fixed in a service, shorter in a test.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// For its first request, and from the first byte of a head to its end.
    pub(crate) head: Duration,
    /// From one request's answer to the next request.
    pub(crate) idle: Duration,
    /// For a request's whole body, from its head on.
    pub(crate) body: Duration,
    /// For taking the next byte of an answer.
    pub(crate) write: Duration,
    /// The same once the service stops; well within the drain.
    pub(crate) last_write: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let [head, idle, body, write, last_write] = [10, 75, 10, 60, 5].map(Duration::from_secs);
        Self { head, idle, body, write, last_write }
    }
}

/// A refused client gets this long to read why.
const REFUSAL_LIMIT: Duration = Duration::from_secs(1);

/// Connections that may wait to be accepted, as far as the kernel allows (`net.core.somaxconn`): when a gateway dies its
/// clients come to the others at once, and a SYN that finds no room is sent again only after a second.
const BACKLOG: u32 = 8_192;

/// Refusals told at a time; past that a connection is closed without a word, so that a flood costs nothing.
const REFUSALS: usize = 64;

/// After an accept error that is the process's (no descriptors left): nothing gets better at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A connection's place under `max_connections`, in the extensions of each of its requests. Whoever upgrades the
/// connection keeps it as long as the socket lives; else the place is free again while the socket is still open.
#[derive(Clone)]
pub struct Seat {
    _held: Arc<Held>,
}

struct Held {
    open: IntGauge,
    _permit: OwnedSemaphorePermit,
}

impl Seat {
    fn take(permit: OwnedSemaphorePermit, open: &IntGauge) -> Self {
        open.inc();
        Self { _held: Arc::new(Held { open: open.clone(), _permit: permit }) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.open.dec();
    }
}

/// The socket under an upgraded connection, with the bytes that came behind the request's head. The type inside is
/// exactly ours, because the port looks for HTTP/2 by peeking and not by rewinding.
///
/// # Errors
/// Gives back what did not come from [`serve`] as HTTP/1.
pub fn into_tcp(upgraded: Upgraded) -> Result<(TcpStream, bytes::Bytes), Upgraded> {
    let parts = upgraded.downcast::<TokioIo<Watched>>()?;
    Ok((parts.io.into_inner().into_inner(), parts.read_buf))
}

/// Binds the public port.
///
/// # Errors
/// When the address is taken or not ours; the message names it.
pub async fn bind(addr: SocketAddr) -> anyhow::Result<TcpListener> {
    listen("public", addr).await
}

pub(crate) async fn listen(port: &'static str, addr: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = open(addr).with_context(|| format!("the {port} port cannot listen on {addr}"))?;
    // The bound address, not the asked one: with port 0 they differ, and this line is where to read it.
    let addr = listener.local_addr().context("the bound address")?;
    info!(port, %addr, "listening");
    Ok(listener)
}

fn open(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let (socket, addr) = match addr {
        SocketAddr::V4(_) => (TcpSocket::new_v4()?, addr),
        // `[::]` is every address of both families; a kernel without IPv6 has those of IPv4
        SocketAddr::V6(six) => match TcpSocket::new_v6() {
            Err(_) if six.ip().is_unspecified() => {
                (TcpSocket::new_v4()?, (Ipv4Addr::UNSPECIFIED, six.port()).into())
            }
            socket => (socket?, addr),
        },
    };
    // a restart need not wait for the last connections of the one before
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// Serves `router` on the public port until the soft stop; then the listener closes, idle connections are
/// dropped, and requests in flight are finished until the hard stop. Upgraded connections are the service's.
///
/// Handlers find `ConnectInfo<SocketAddr>`, [`Seat`], [`Handover`] and `hyper::upgrade::OnUpgrade` in a request's extensions.
pub fn serve(life: &Life, listener: TcpListener, config: &HttpConfig, router: Router, metrics: &HttpMetrics) {
    serve_with(
        life,
        listener,
        config,
        router,
        metrics,
        Limits { idle: config.idle_timeout, ..Limits::default() },
    );
}

pub(crate) fn serve_with(
    life: &Life,
    listener: TcpListener,
    config: &HttpConfig,
    router: Router,
    metrics: &HttpMetrics,
    limits: Limits,
) {
    let router = router.layer(observe(metrics.duration.clone()));
    let port = Port {
        life: life.clone(),
        listener,
        seats: Arc::new(Semaphore::new(config.max_connections)),
        refusals: Arc::new(Semaphore::new(REFUSALS)),
        metrics: metrics.clone(),
        server: Arc::new(Server::new(
            life.clone(),
            (router, config.prefix.clone()),
            (limits, config.answer_bytes),
            metrics.overdue.clone(),
        )),
    };
    life.spawn("accept", port.run());
}

struct Port {
    life: Life,
    listener: TcpListener,
    seats: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    metrics: HttpMetrics,
    server: Arc<Server>,
}

impl Port {
    async fn run(self) {
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = self.life.stopping() => return,
            };
            match accepted {
                Ok((stream, peer)) => self.seat(stream, peer),
                Err(fault) if is_the_clients(&fault) => {}
                Err(fault) => {
                    warn!(%fault, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn seat(&self, stream: TcpStream, peer: SocketAddr) {
        self.metrics.accepted.inc();
        match Arc::clone(&self.seats).try_acquire_owned() {
            Ok(permit) => {
                let seat = Seat::take(permit, &self.metrics.open);
                self.life.spawn_work(Arc::clone(&self.server).converse(stream, peer, seat));
            }
            Err(_) => {
                self.metrics.refused.inc();
                if let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() {
                    self.life.spawn_work(refuse(stream, permit));
                }
            }
        }
    }
}

/// A connection that died in the queue says nothing about the next one.
fn is_the_clients(fault: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(fault.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Answers without reading the request, then reads it away: closing over unread bytes resets the connection, and
/// the client would lose the answer.
async fn refuse(mut stream: TcpStream, _permit: OwnedSemaphorePermit) {
    let told = async {
        stream.write_all(Refusal::TooManyConnections.raw().as_bytes()).await?;
        stream.shutdown().await?;
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    // A client that is gone, or that does not hang up, has been told all there is to tell.
    let _ = tokio::time::timeout(REFUSAL_LIMIT, told).await;
}

#[cfg(test)]
mod tests;
