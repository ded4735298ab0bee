//! What is served, and where.

use axum::{Router, http::Uri, routing::get};
use chassis::{Life, Problem};
use http::StatusCode;

use crate::{config::GatewayConfig, hub::Hub, metrics::Metrics, page, replay::Replay, upgrade};

/// What the handlers use.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) hub: Hub,
    pub(crate) replay: Replay,
    pub(crate) life: Life,
    pub(crate) metrics: Metrics,
}

/// The demo's socket paths, from its README and from its code, with and without the slash.
const SOCKETS: [&str; 4] = ["/ws/sensors/", "/ws/sensors", "/ws/sensor-readings/", "/ws/sensor-readings"];

/// All routes; what is none of them is the page's.
pub(crate) fn router(app: App, config: &GatewayConfig) -> anyhow::Result<Router> {
    let router =
        SOCKETS.into_iter().fold(Router::new(), |router, path| router.route(path, get(upgrade::upgrade)));
    let router = router.with_state(app);
    if config.page.as_os_str().is_empty() {
        return Ok(router.fallback(unknown_path));
    }
    page::serve(router, &config.page, &config.ingest_url)
}

pub(crate) async fn unknown_path(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", format!("there is nothing at {}", uri.path()))
}
