//! The documents of what is served, for people and for programs.

use axum::{extract::State, response::Response};
use http::HeaderMap;

use crate::{
    gateway::App,
    history::answer::{Answer, reply},
};

pub(super) async fn openapi(State(app): State<App>, headers: HeaderMap) -> Response {
    let made = app.documents.openapi.get_or_init(|| documents::openapi_under(&app.prefix.to_string()));
    reply(&headers, None, async { Ok(Answer::json(made.clone().into_bytes())) }).await
}

pub(super) async fn asyncapi(State(app): State<App>, headers: HeaderMap) -> Response {
    let made = app.documents.asyncapi.get_or_init(|| documents::asyncapi_under(&app.prefix.to_string()));
    reply(&headers, None, async { Ok(Answer::json(made.clone().into_bytes())) }).await
}
