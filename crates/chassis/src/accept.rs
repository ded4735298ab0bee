//! The public port: accept, cap, and hand each connection to its server.

mod answer;
mod body;
pub(crate) mod client;
mod config;
mod connection;
pub(crate) mod entry;
mod flow;
mod forwarded;
mod guard;
mod handover;
mod heads;
mod io;
pub(crate) mod limits;
mod listen;
mod networks;
mod permit;
mod port;
mod proxy_header;
mod refuse;
mod socket;
mod stream;
mod tls;

use axum::Router;
use instruments::Registry;
use tokio::net::TcpListener;

pub use self::answer::Holds;
pub use self::client::Client;
pub use self::config::HttpConfig;
use self::connection::Server;
use self::entry::Entry;
pub use self::handover::Handover;
pub use self::io::into_socket;
use self::limits::Limits;
pub use self::listen::bind;
pub(crate) use self::listen::listen;
pub use self::permit::Permit;
use self::port::Port;
pub use self::socket::Socket;
pub use self::tls::TlsConfig;
use self::tls::{PACE, Rotation};
use crate::life::Life;
use crate::metrics::HttpMetrics;
use crate::observe::observe;
use crate::service::Service;

/// Serves `router` on the public port until the soft stop; then the listener closes, idle connections are
/// dropped, and requests in flight are finished until the hard stop. Upgraded connections are left to the service.
///
/// Handlers find [`Client`], [`Permit`], [`Handover`] and `hyper::upgrade::OnUpgrade` in a request's extensions.
///
/// # Errors
/// When the configuration is not valid, the certificate cannot be used, or the service has such a port already.
pub fn serve(
    service: &Service,
    listener: TcpListener,
    config: &HttpConfig,
    router: Router,
) -> anyhow::Result<()> {
    let metrics = HttpMetrics::register(&service.registry)?;
    let expiry = metrics.certificate_expiry.clone();
    let rotation = config.tls.paths()?.map(|paths| Rotation::begin(paths, expiry)).transpose()?;
    let tls = rotation.as_ref().map(Rotation::tls);
    let entry = Entry::new(config, tls, metrics.rejected.clone()).map_err(anyhow::Error::msg)?;
    if let Some(rotation) = rotation {
        let condition = service.readiness.condition("certificate");
        service.life.spawn("certificate", condition.watch(async move || rotation.check(), PACE));
    }
    serve_with(&service.life, listener, (config, entry), router, &metrics, config.limits());
    Ok(())
}

/// The same on a port that only the inside reaches: its peers are its clients, and it is not counted.
///
/// # Errors
/// Never, as long as the names of metrics are different.
pub fn serve_inside(
    life: &Life,
    listener: TcpListener,
    config: &HttpConfig,
    router: Router,
) -> anyhow::Result<()> {
    let uncounted = HttpMetrics::register(&Registry::new())?;
    let entry = Entry::open(uncounted.rejected.clone());
    serve_with(life, listener, (config, entry), router, &uncounted, config.limits());
    Ok(())
}

fn serve_with(
    life: &Life,
    listener: TcpListener,
    (config, entry): (&HttpConfig, Entry),
    router: Router,
    metrics: &HttpMetrics,
    limits: Limits,
) {
    let router = router.layer(observe(metrics.duration.clone()));
    let server = Server::new(life.clone(), router, (config, entry), limits, metrics.overdue.clone());
    let port = Port::new(life.clone(), listener, config.max_connections, metrics.clone(), server);
    life.spawn("accept", port.run());
}

#[cfg(test)]
mod tests;
