//! The built page: its files from a folder, its one document for `/`.

use std::path::Path;

use anyhow::Context;
use axum::{
    Router,
    response::{Html, IntoResponse},
    routing::get,
};
use http::{HeaderName, HeaderValue, header};
use tower_http::{services::ServeDir, set_header::SetResponseHeaderLayer};

use crate::routes::unknown_path;

/// What the build leaves for the address that devices POST to.
const INGEST_PLACEHOLDER: &str = "%ROWCAST_INGEST%";

/// The files' names carry a hash of their content.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// The document's scripts come from this host or stand in it; nothing comes from elsewhere.
const POLICY: &str = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'";

/// Adds the page to the routes.
pub(crate) fn serve(router: Router, folder: &Path, ingest_url: &str) -> anyhow::Result<Router> {
    let document = folder.join("index.html");
    let document = std::fs::read_to_string(&document).with_context(|| format!("reading {}", document.display()))?;
    let document = document.replace(INGEST_PLACEHOLDER, ingest_url);
    let index = get(move || {
        let document = document.clone();
        async move { ([(header::CACHE_CONTROL, "no-cache")], Html(document)).into_response() }
    });
    let fixed = |name: HeaderName, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    let assets = Router::new()
        .fallback_service(ServeDir::new(folder.join("assets")))
        .layer(fixed(header::CACHE_CONTROL, FOR_EVER));
    let files = ServeDir::new(folder).append_index_html_on_directories(false).fallback(get(unknown_path));
    Ok(router
        .route("/", index)
        .nest("/assets", assets)
        .fallback_service(files)
        .layer(fixed(header::CONTENT_SECURITY_POLICY, POLICY))
        .layer(fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(fixed(header::REFERRER_POLICY, "no-referrer")))
}
