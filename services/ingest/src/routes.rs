//! What is served, and where.

mod list;
mod post;

use std::sync::Arc;

use axum::{Router, http::Uri, response::IntoResponse, routing::get};
use chassis::{Cors, Origins, Problem};
use http::{Method, StatusCode, header};

use crate::app::App;

/// The demo's paths, from its README and from its code, with and without the slash.
const PATHS: [&str; 4] =
    ["/api/sensors/", "/api/sensors", "/api/v1/sensors-readings/", "/api/v1/sensors-readings"];

/// The methods of each.
const METHODS: &str = "GET, HEAD, POST";

/// All routes.
pub(crate) fn router(app: App, origins: Origins) -> Router {
    let readings = get(list::list).post(post::post).fallback(wrong_method);
    PATHS
        .into_iter()
        .fold(Router::new(), |router, path| router.route(path, readings.clone()))
        .route_layer(Cors::new(origins, METHODS))
        .fallback(unknown_path)
        .with_state(Arc::new(app))
}

async fn wrong_method(method: Method) -> impl IntoResponse {
    let detail = format!("method not allowed: {method}");
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail);
    ([(header::ALLOW, METHODS)], problem)
}

async fn unknown_path(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", format!("not found: {}", uri.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_documented_and_every_documented_path_is_served() {
        let served = PATHS.into_iter().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(served, documents::paths(documents::INGEST));
    }
}
