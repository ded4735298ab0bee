//! A ticket for who has a credential, to be used in a URL once.

use access::Caller;
use auth::Ticket;
use axum::{
    Json,
    extract::{Extension, State},
    response::{IntoResponse, Response},
};
use chassis::Problem;
use http::{StatusCode, header};
use serde::Serialize;

use crate::gateway::App;

/// When to come back if Redis is away, in seconds.
const RETRY_AFTER: u32 = 1;

/// A ticket as it is handed out.
#[derive(Serialize)]
struct Issued {
    ticket: String,
    expires_in_ms: u128,
}

pub(super) async fn issue(State(app): State<App>, Extension(caller): Extension<Caller>) -> Response {
    match made(&app, &caller).await {
        Ok(ticket) => {
            let (ticket, expires_in_ms) = (ticket.expose(), Ticket::LIFETIME.as_millis());
            let no_store = [(header::CACHE_CONTROL, "no-store")];
            (StatusCode::CREATED, no_store, Json(Issued { ticket, expires_in_ms })).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

async fn made(app: &App, caller: &Caller) -> Result<Ticket, Problem> {
    if app.gate.is_open() {
        // nobody asks for it, and so nothing is kept
        return Ok(Ticket::new(rand::random()));
    }
    let holder = app.gate.holder(caller)?;
    app.tickets.issue(&holder).await.map_err(|_| unavailable())
}

/// Redis or Postgres is away.
pub(super) fn unavailable() -> Problem {
    let detail = "tickets cannot be made or used at present";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "tickets-unavailable", detail).retry_after(RETRY_AFTER)
}
