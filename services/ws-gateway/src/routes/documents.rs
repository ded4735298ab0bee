//! The documents of what is served, for people and for programs.

use std::sync::LazyLock;

use axum::{extract::State, response::Response};
use http::HeaderMap;

use super::App;
use crate::history::answer::{Answer, reply};

static OPENAPI: LazyLock<String> = LazyLock::new(documents::openapi);
static ASYNCAPI: LazyLock<String> = LazyLock::new(documents::asyncapi);

pub(super) async fn openapi(State(app): State<App>, headers: HeaderMap) -> Response {
    reply(&app.origins, &headers, async { Ok(Answer::json(OPENAPI.clone().into_bytes())) }).await
}

pub(super) async fn asyncapi(State(app): State<App>, headers: HeaderMap) -> Response {
    reply(&app.origins, &headers, async { Ok(Answer::json(ASYNCAPI.clone().into_bytes())) }).await
}
