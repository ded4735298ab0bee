//! What is served, and where.

mod hooks;
mod influx;
mod list;
mod post;

use std::sync::Arc;

use access::{Gate, Guard};
use axum::{
    Router,
    http::Uri,
    routing::{self, MethodRouter, get},
};
use chassis::{Cors, Origins, Problem};
use http::{Method, StatusCode};

use crate::{app::App, refusals};

/// The demo's paths, from its README and from its code, with and without the slash.
const PATHS: [&str; 4] =
    ["/api/sensors/", "/api/sensors", "/api/v1/sensors-readings/", "/api/v1/sensors-readings"];

/// The methods of all.
const METHODS: &str = "GET, HEAD, POST";

/// Every path.
fn table(gate: &Gate) -> Vec<(&'static str, MethodRouter<Arc<App>>)> {
    let guard = Guard::new(gate.clone());
    let readings = only(METHODS, get(list::list).post(post::post)).layer(guard.clone());
    let guarded =
        |methods: MethodRouter<Arc<App>>, refusal| methods.layer(guard.clone().refusing_as(refusal));
    let mut table: Vec<_> = PATHS.into_iter().map(|path| (path, readings.clone())).collect();
    table.extend([
        ("/api/v2/write", guarded(only("POST", routing::post(influx::write_v2)), influx::refusal_v2)),
        ("/write", guarded(only("POST", routing::post(influx::write_v1)), influx::refusal_v1)),
        ("/query", guarded(only(METHODS, get(influx::query).post(influx::query)), influx::refusal_v1)),
        ("/ping", only("GET, HEAD", get(influx::ping))),
        ("/health", only("GET, HEAD", get(influx::health))),
        // each hook says itself which methods it takes
        ("/hooks/{name}", routing::any(hooks::take).layer(guard.clone())),
    ]);
    table
}

/// All routes.
pub(crate) fn router(app: App, origins: Origins) -> Router {
    table(&app.gate)
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods))
        .route_layer(Cors::new(origins, METHODS))
        .fallback(unknown_path)
        .with_state(Arc::new(app))
}

/// Refuses every method but these, which the router has.
fn only(allowed: &'static str, methods: MethodRouter<Arc<App>>) -> MethodRouter<Arc<App>> {
    methods.fallback(async move |method: Method| refusals::method(&method, allowed))
}

async fn unknown_path(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", format!("not found: {}", uri.path()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_path_is_documented_and_every_documented_path_is_served() {
        let served: BTreeSet<String> =
            table(&Gate::open()).into_iter().map(|(path, _)| path.to_owned()).collect();
        assert_eq!(served, documents::paths(documents::INGEST));
    }
}
