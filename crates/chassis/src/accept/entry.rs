//! From an accepted connection to one that may speak HTTP.

use std::net::IpAddr;

use instruments::{By, IntCounter, Label};
use tokio::net::TcpStream;
use tracing::debug;

use super::config::HttpConfig;
use super::networks::Networks;
use super::proxy_header::{self, HeaderError};

instruments::labels! {
    /// Why a connection was closed before it could speak HTTP.
    pub(crate) enum Rejected {
        /// The PROXY protocol is on, and the peer is no trusted proxy.
        Untrusted = "untrusted",
        /// The trusted proxy sent no header of the PROXY protocol.
        ProxyHeader = "proxy_header",
    }
}

/// What a connection must pass.
pub(super) struct Entry {
    proxies: Networks,
    proxy_protocol: bool,
    rejected: By<Rejected, IntCounter>,
}

/// A connection that may speak HTTP.
pub(super) struct Entered {
    pub(super) stream: TcpStream,
    /// Its peer, or the client that a proxy connects for.
    pub(super) peer: IpAddr,
}

impl Entry {
    /// As configured.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub(super) fn new(config: &HttpConfig, rejected: By<Rejected, IntCounter>) -> Result<Self, String> {
        let proxies = config.trusted_proxies()?;
        Ok(Self { proxies, proxy_protocol: config.proxy_protocol, rejected })
    }

    /// Without conditions.
    pub(super) fn open(rejected: By<Rejected, IntCounter>) -> Self {
        Self { proxies: Networks::default(), proxy_protocol: false, rejected }
    }

    /// Whether every connection may speak HTTP at once.
    pub(super) const fn is_open(&self) -> bool {
        !self.proxy_protocol
    }

    pub(super) const fn proxies(&self) -> &Networks {
        &self.proxies
    }

    /// `None`: the connection is rejected, or its peer has left. It may take as long as the peer does.
    pub(super) async fn pass(&self, mut stream: TcpStream, peer: IpAddr) -> Option<Entered> {
        let peer = if self.proxy_protocol { self.source(&mut stream, peer).await? } else { peer };
        Some(Entered { stream, peer })
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

    fn reject(&self, rejected: Rejected, peer: IpAddr) {
        self.rejected.of(rejected).inc();
        debug!(%peer, reason = rejected.label(), "connection rejected");
    }
}
