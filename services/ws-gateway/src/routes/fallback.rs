//! Paths that are not served, and methods that a path does not have.

use axum::response::IntoResponse;
use chassis::Problem;
use http::{Method, StatusCode, Uri, header};

/// How everything is read.
pub(super) const METHODS: &str = "GET, HEAD";

/// 404.
pub(super) async fn unknown_path(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", format!("not found: {}", uri.path()))
}

/// 405.
pub(super) async fn wrong_method(method: Method) -> impl IntoResponse {
    let problem = Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        format!("method not allowed: {method}"),
    );
    ([(header::ALLOW, METHODS)], problem)
}
