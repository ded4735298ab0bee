//! The documents of what is served, for people and for programs.

use std::sync::OnceLock;

use axum::{extract::State, response::Response};
use http::HeaderMap;

use super::App;
use crate::history::answer::{Answer, reply};

/// Made when they are first asked for.
#[derive(Default)]
pub(crate) struct Documents {
    openapi: OnceLock<String>,
    asyncapi: OnceLock<String>,
}

pub(super) async fn openapi(State(app): State<App>, headers: HeaderMap) -> Response {
    let made = app.documents.openapi.get_or_init(|| documents::openapi_under(&app.prefix.to_string()));
    reply(&headers, async { Ok(Answer::json(made.clone().into_bytes())) }).await
}

pub(super) async fn asyncapi(State(app): State<App>, headers: HeaderMap) -> Response {
    let made = app.documents.asyncapi.get_or_init(|| documents::asyncapi_under(&app.prefix.to_string()));
    reply(&headers, async { Ok(Answer::json(made.clone().into_bytes())) }).await
}
