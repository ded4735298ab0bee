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

/// How tickets are asked for.
pub(super) const METHODS_OF_TICKETS: &str = "POST";

/// 405 of what is read.
pub(super) async fn wrong_method(method: Method) -> impl IntoResponse {
    not_allowed(METHODS, &method)
}

/// 405 of tickets.
pub(super) async fn wrong_method_of_tickets(method: Method) -> impl IntoResponse {
    not_allowed(METHODS_OF_TICKETS, &method)
}

fn not_allowed(allowed: &'static str, method: &Method) -> impl IntoResponse + use<> {
    let problem = Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        format!("method not allowed: {method}"),
    );
    ([(header::ALLOW, allowed)], problem)
}
