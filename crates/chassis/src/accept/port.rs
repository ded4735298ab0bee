//! Accepts connections up to the limit, and passes each to its server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::warn;

use super::connection::Server;
use super::permit::Permit;
use super::refuse::refuse;
use crate::life::Life;
use crate::metrics::HttpMetrics;
use crate::problem::Refusal;

/// The most refusals sent at a time; beyond that a connection is closed without a response, so that a flood costs nothing.
const REFUSALS: usize = 64;

/// The pause after an accept error of the process (no descriptors left), which does not pass at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Port {
    life: Life,
    listener: TcpListener,
    permits: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    metrics: HttpMetrics,
    server: Arc<Server>,
}

impl Port {
    pub(super) fn new(
        life: Life,
        listener: TcpListener,
        max_connections: usize,
        metrics: HttpMetrics,
        server: Server,
    ) -> Self {
        metrics.limit.set(i64::try_from(max_connections).unwrap_or(i64::MAX));
        let (permits, refusals) =
            (Arc::new(Semaphore::new(max_connections)), Arc::new(Semaphore::new(REFUSALS)));
        Self { life, listener, permits, refusals, metrics, server: Arc::new(server) }
    }

    /// Accepts until the soft stop.
    pub(super) async fn run(self) {
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = self.life.stopping() => return,
            };
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer),
                Err(fault) if is_the_clients(&fault) => {}
                Err(fault) => {
                    warn!(%fault, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        self.metrics.accepted.inc();
        match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => {
                let permit = Permit::take(permit, &self.metrics.open);
                self.life.spawn_work(Arc::clone(&self.server).serve(stream, peer, permit));
            }
            Err(_) => {
                self.metrics.refused.inc();
                // a handshake would cost more than the answer is worth
                if self.server.has_tls() {
                    return;
                }
                if let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() {
                    self.life.spawn_work(async move {
                        refuse(stream, Refusal::TooManyConnections).await;
                        drop(permit);
                    });
                }
            }
        }
    }
}

/// Whether the error concerns one connection that died in the queue, and not the next ones.
fn is_the_clients(fault: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(fault.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
