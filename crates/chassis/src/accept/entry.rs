//! From an accepted connection to one that may speak HTTP.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::Arc;

use instruments::{By, IntCounter, Label};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::debug;

use super::config::HttpConfig;
use super::networks::Networks;
use super::proxy_header::{self, HeaderError};
use super::refuse::refuse;
use super::stream::Stream;
use super::tls::Tls;
use crate::problem::Refusal;

instruments::labels! {
    /// Why a connection was closed before it could speak HTTP.
    pub(crate) enum Rejected {
        /// The PROXY protocol is on, and the peer is no trusted proxy.
        Untrusted = "untrusted",
        /// The trusted proxy sent no header of the PROXY protocol.
        ProxyHeader = "proxy_header",
        /// The port speaks TLS, and the peer does not.
        Plaintext = "plaintext",
        /// The TLS handshake failed.
        Handshake = "handshake",
    }
}

/// What a connection must pass.
pub(super) struct Entry {
    proxies: Networks,
    proxy_protocol: bool,
    tls: Option<Tls>,
    rejected: By<Rejected, IntCounter>,
}

/// A connection that may speak HTTP.
pub(super) struct Entered<'a> {
    pub(super) stream: Stream,
    /// Its peer, or the client that a proxy connects for.
    pub(super) peer: IpAddr,
    /// Its permit for HTTP/2, if it speaks that.
    pub(super) http2: Option<SemaphorePermit<'a>>,
}

/// What connections share.
pub(super) struct Shared<'a> {
    pub(super) large_heads: &'a Arc<Semaphore>,
    pub(super) http2: &'a Semaphore,
}

impl Entry {
    /// As configured, with this certificate.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub(super) fn new(
        config: &HttpConfig,
        tls: Option<Tls>,
        rejected: By<Rejected, IntCounter>,
    ) -> Result<Self, String> {
        Ok(Self { proxies: config.trusted_proxies()?, proxy_protocol: config.proxy_protocol, tls, rejected })
    }

    /// Without conditions.
    pub(super) fn open(rejected: By<Rejected, IntCounter>) -> Self {
        Self { proxies: Networks::default(), proxy_protocol: false, tls: None, rejected }
    }

    /// Whether every connection may speak HTTP at once.
    pub(super) const fn is_open(&self) -> bool {
        !self.proxy_protocol && self.tls.is_none()
    }

    pub(super) const fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    pub(super) const fn proxies(&self) -> &Networks {
        &self.proxies
    }

    /// `None`: the connection is rejected, or its peer has left. It may take as long as the peer does.
    pub(super) async fn pass<'a>(
        &self,
        mut stream: TcpStream,
        peer: IpAddr,
        shared: Shared<'a>,
    ) -> Option<Entered<'a>> {
        let peer = if self.proxy_protocol { self.source(&mut stream, peer).await? } else { peer };
        match &self.tls {
            Some(tls) => self.shake_hands(tls, stream, peer, shared).await,
            None => Some(Entered { stream: Stream::Bare(stream), peer, http2: None }),
        }
    }

    /// Whom the proxy connects for.
    async fn source(&self, stream: &mut TcpStream, peer: IpAddr) -> Option<IpAddr> {
        if !self.proxies.contains(peer) {
            self.reject(Rejected::Untrusted, peer);
            return None;
        }
        match proxy_header::read(stream).await {
            Ok(source) => Some(source.unwrap_or(peer)),
            Err(HeaderError::Malformed) => {
                self.reject(Rejected::ProxyHeader, peer);
                None
            }
            // health checks connect and leave
            Err(HeaderError::Ended(fault)) => {
                debug!(%peer, %fault, "connection ended before its header of the PROXY protocol");
                None
            }
        }
    }

    async fn shake_hands<'a>(
        &self,
        tls: &Tls,
        stream: TcpStream,
        peer: IpAddr,
        shared: Shared<'a>,
    ) -> Option<Entered<'a>> {
        if !Tls::is_spoken(&stream).await.ok()?? {
            self.reject(Rejected::Plaintext, peer);
            refuse(stream, Refusal::Plaintext).await;
            return None;
        }
        match tls.accept(stream, shared.large_heads, shared.http2).await {
            Ok((stream, http2)) => Some(Entered { stream: Stream::Tls(stream), peer, http2 }),
            // what the peer sent is wrong, or the memory for it is full
            Err(fault) if matches!(fault.kind(), ErrorKind::InvalidData | ErrorKind::Other) => {
                self.reject(Rejected::Handshake, peer);
                debug!(%peer, %fault, "TLS handshake failed");
                None
            }
            Err(fault) => {
                debug!(%peer, %fault, "connection ended within its TLS handshake");
                None
            }
        }
    }

    fn reject(&self, rejected: Rejected, peer: IpAddr) {
        self.rejected.of(rejected).inc();
        debug!(%peer, reason = rejected.label(), "connection rejected");
    }
}
