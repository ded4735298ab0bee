//! The documents of what is served, for people and for programs.

use std::sync::LazyLock;

use axum::response::Response;
use http::HeaderMap;

use crate::history::answer::{Answer, reply};

static OPENAPI: LazyLock<String> = LazyLock::new(documents::openapi);
static ASYNCAPI: LazyLock<String> = LazyLock::new(documents::asyncapi);

pub(super) async fn openapi(headers: HeaderMap) -> Response {
    reply(&headers, async { Ok(Answer::json(OPENAPI.clone().into_bytes())) }).await
}

pub(super) async fn asyncapi(headers: HeaderMap) -> Response {
    reply(&headers, async { Ok(Answer::json(ASYNCAPI.clone().into_bytes())) }).await
}
