//! The public port: accept, cap, and hand each connection to its server.

mod answer;
mod body;
mod config;
mod connection;
mod flow;
mod guard;
mod handover;
mod io;
pub(crate) mod limits;
mod listen;
mod permit;
mod port;

use axum::Router;
use tokio::net::TcpListener;

pub use self::answer::Holds;
pub use self::config::HttpConfig;
use self::connection::Server;
pub use self::handover::Handover;
pub use self::io::into_tcp;
use self::limits::Limits;
pub use self::listen::bind;
pub(crate) use self::listen::listen;
pub use self::permit::Permit;
use self::port::Port;
use crate::life::Life;
use crate::metrics::HttpMetrics;
use crate::observe::observe;

/// Serves `router` on the public port until the soft stop; then the listener closes, idle connections are
/// dropped, and requests in flight are finished until the hard stop. Upgraded connections are left to the service.
///
/// Handlers find `ConnectInfo<SocketAddr>`, [`Permit`], [`Handover`] and `hyper::upgrade::OnUpgrade` in a request's extensions.
pub fn serve(life: &Life, listener: TcpListener, config: &HttpConfig, router: Router, metrics: &HttpMetrics) {
    let limits = Limits { idle: config.idle_timeout, ..Limits::default() };
    serve_with(life, listener, config, router, metrics, limits);
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
    let server = Server::new(life.clone(), router, config, limits, metrics.overdue.clone());
    let port = Port::new(life.clone(), listener, config.max_connections, metrics.clone(), server);
    life.spawn("accept", port.run());
}

#[cfg(test)]
mod tests;
