//! TLS on the public port: handshakes with the certificate that is in use at the moment.

mod config;
mod fault;
mod identity;
mod rotation;
mod socket;
mod wire;

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::server::Acceptor;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

pub use self::config::TlsConfig;
use self::identity::{HTTP2, Identity};
pub(super) use self::rotation::{PACE, Rotation};
pub(super) use self::socket::TlsSocket;
pub(super) use self::wire::Wire;

/// The most bytes that wait encrypted for a peer, beyond what is counted as unsent: one full record (RFC 8446 §5.1).
const UNSENT_BYTES: usize = 16 << 10;

/// The first byte of every TLS connection: the type of a handshake's record (RFC 8446 §5.1). No HTTP begins with it.
const HANDSHAKE: u8 = 22;

#[derive(Clone)]
pub(super) struct Tls {
    identity: Arc<Mutex<Arc<Identity>>>,
}

/// A connection after its handshake, with its permit if HTTP/2 was agreed on.
pub(super) type Agreed<'a> = (Box<TlsStream<Wire>>, Option<SemaphorePermit<'a>>);

impl Tls {
    fn new(identity: Identity) -> Self {
        Self { identity: Arc::new(Mutex::new(Arc::new(identity))) }
    }

    /// Whether the peer begins with a handshake; `None` if it leaves.
    pub(super) async fn is_spoken(stream: &TcpStream) -> io::Result<Option<bool>> {
        let mut first = [0];
        let count = stream.peek(&mut first).await?;
        Ok((count > 0).then_some(first[0] == HANDSHAKE))
    }

    /// Answers a handshake. HTTP/2 is offered only while there is a permit for it: other clients speak HTTP/1.
    pub(super) async fn accept<'a>(
        &self,
        stream: TcpStream,
        large_heads: &Arc<Semaphore>,
        http2: &'a Semaphore,
    ) -> io::Result<Agreed<'a>> {
        let wire = Wire::new(stream, Arc::clone(large_heads));
        let begun = LazyConfigAcceptor::new(Acceptor::default(), wire).await?;
        let knows_http2 =
            begun.client_hello().alpn().is_some_and(|mut names| names.any(|name| name == HTTP2));
        let permit = if knows_http2 { http2.try_acquire().ok() } else { None };
        let identity = Arc::clone(&self.identity.lock());
        let config = if permit.is_some() { &identity.http2 } else { &identity.http1 };
        let mut stream = begun
            .into_stream_with(Arc::clone(config), |session| session.set_buffer_limit(Some(UNSENT_BYTES)))
            .await?;
        stream.get_mut().0.end_handshake();
        // of what both know, HTTP/2 is the port's first choice
        Ok((Box::new(stream), permit))
    }
}
