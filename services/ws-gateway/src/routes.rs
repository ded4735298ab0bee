//! What is served, and where.

mod changes;
mod events;
mod socket;

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, http::Uri, routing::get};
use chassis::{Life, Problem};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use wire::{Position, frame::Limits};

use crate::{
    config::{GatewayConfig, Patience},
    hub::{Feeding, Hub},
    metrics::Metrics,
    origin::Origins,
    page,
    replay::Replay,
    roster::{NoPlace, Place, Roster},
};

/// What the handlers use.
pub(crate) struct Gateway {
    pub(crate) hub: Hub,
    pub(crate) replay: Replay,
    pub(crate) roster: Roster,
    pub(crate) life: Life,
    pub(crate) metrics: Metrics,
    pub(crate) limits: Arc<Limits>,
    pub(crate) patience: Patience,
    pub(crate) origins: Origins,
}

pub(crate) type App = Arc<Gateway>;

/// The demo's socket paths, from its README and from its code, with and without the slash.
const SOCKETS: [&str; 4] = ["/ws/sensors/", "/ws/sensors", "/ws/sensor-readings/", "/ws/sensor-readings"];

/// When to come back to a gateway that has no room or no feed, in seconds.
const RETRY_AFTER: u32 = 2;

/// All routes; what is none of them is the page's.
pub(crate) fn router(app: App, config: &GatewayConfig) -> anyhow::Result<Router> {
    let router =
        SOCKETS.into_iter().fold(Router::new(), |router, path| router.route(path, get(socket::upgrade)));
    let router = router
        .route("/sse/sensors/", get(events::stream))
        .route("/sse/sensors", get(events::stream))
        .route("/api/changes", get(changes::changes))
        .with_state(app);
    if config.page.as_os_str().is_empty() {
        return Ok(router.fallback(unknown_path));
    }
    page::serve(router, &config.page, &config.ingest_url)
}

pub(crate) async fn unknown_path(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", format!("there is nothing at {}", uri.path()))
}

/// A client that may stay.
pub(crate) struct Admitted {
    pub(crate) place: Place,
    /// The head at this moment.
    pub(crate) head: Position,
    /// What the answer must say for a page of another host.
    pub(crate) allow_origin: Option<(HeaderName, HeaderValue)>,
}

impl Gateway {
    /// Lets a client in that wants to stay, or says why not, before anything is upgraded.
    pub(crate) fn admit(&self, headers: &HeaderMap, peer: SocketAddr) -> Result<Admitted, Problem> {
        let allow_origin = self.origins.check(headers)?;
        let head = self.head()?;
        let place = self.roster.admit(peer.ip()).map_err(|why| {
            let (status, code, detail) = match why {
                NoPlace::Full => {
                    (StatusCode::SERVICE_UNAVAILABLE, "full", "this gateway has as many clients as it may")
                }
                NoPlace::AddressFull => (
                    StatusCode::TOO_MANY_REQUESTS,
                    "too-many-connections",
                    "this address has as many connections as it may",
                ),
            };
            Problem::new(status, code, detail).retry_after(RETRY_AFTER)
        })?;
        Ok(Admitted { place, head, allow_origin })
    }

    /// The head, if the gateway follows the stream and goes on doing so.
    pub(crate) fn head(&self) -> Result<Position, Problem> {
        let follows = self.hub.feeding() != Feeding::Lost && !self.life.is_stopping();
        self.hub.head().filter(|_| follows).ok_or_else(|| {
            let detail = "this gateway has no feed now";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", detail).retry_after(RETRY_AFTER)
        })
    }
}
