//! Pull: what came after a position, as lines of JSON; a long poll where nothing has.

use std::time::Duration;

use access::Caller;
use axum::{
    extract::{Extension, RawQuery, State},
    response::{IntoResponse, Response},
};
use chassis::{Client, Problem, Query};
use http::{StatusCode, header};
use wire::{Filter, Position};

use super::query::{LiveQuery, invalid_position, position_ahead};
use crate::{
    connection::pull::{Failed, Pull, Pulled},
    gateway::{Admitted, App},
};

/// Readings of an answer, unless the query says otherwise.
const DEFAULT_LIMIT: usize = 1_000;

/// The most readings of an answer.
const MAX_LIMIT: usize = 10_000;

/// The longest wait; proxies give up at 60 s.
const MAX_WAIT: Duration = Duration::from_secs(50);

struct Request {
    since: Option<Position>,
    filter: Filter,
    limit: usize,
    wait: Duration,
}

pub(super) async fn changes(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(client): Extension<Client>,
    RawQuery(query): RawQuery,
) -> Response {
    match pull(&app, caller, client, &query.unwrap_or_default()).await {
        Ok(lines) => answer(lines),
        Err(problem) => problem.into_response(),
    }
}

/// The head of an answer; nothing is read for it.
pub(super) async fn head() -> Response {
    answer(Vec::new())
}

fn answer(lines: Vec<u8>) -> Response {
    let fixed = [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")];
    (fixed, lines).into_response()
}

async fn pull(app: &App, caller: Caller, client: Client, query: &str) -> Result<Vec<u8>, Problem> {
    caller.reader()?;
    let mut request = Request::read(query, app.limits.patterns)?;
    request.filter = caller.grant.narrow(&request.filter);
    if let Some(left) = app.gate.ends_in(&caller) {
        request.wait = request.wait.min(left);
    }
    // a poll that waits is a connection as a socket is
    let Admitted { permit, head, subject: _subject } = app.admit(client, Some(&caller))?;
    // from here on it is told of what is revoked, and this is for what was before
    app.gate.recheck(&caller)?;
    let _memory = app
        .backlog
        .budget()
        .patterns(&request.filter)
        .ok_or_else(|| busy("pattern memory is full; try again later"))?;
    let Some(since) = request.since else {
        return Ok(Pulled::nothing(head).into_lines());
    };
    app.charge_rows(&caller, request.limit)?;
    let pull = Pull { app, mailbox: &permit.mailbox, filter: request.filter, limit: request.limit };
    let pulled = pull.after(since, request.wait).await;
    // it may have waited long
    app.gate.recheck(&caller)?;
    let pulled = pulled.map_err(|failed| match failed {
        Failed::Ahead => position_ahead(),
        Failed::Busy => busy("too many polls read at once"),
        Failed::Log(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "changes could not be read");
            let detail = "the database does not answer in time";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", detail).retry_after(1)
        }
    })?;
    Ok(pulled.into_lines())
}

fn busy(detail: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(1)
}

impl Request {
    fn read(query: &str, patterns: usize) -> Result<Self, Problem> {
        let mut query = Query::parse(query);
        let filter = LiveQuery::read(&mut query).filter(patterns, &mut query);
        let since =
            query.take("since", |text| text.parse().map_err(|_| invalid_position("invalid position")));
        let limit = query.take("limit", |text| match text.parse::<usize>() {
            Ok(limit @ 1..) => Ok(limit.min(MAX_LIMIT)),
            _ => Err("must be a whole number from 1"),
        });
        let wait = query.take("wait", |text| match humantime::parse_duration(text) {
            Ok(wait) => Ok(wait.min(MAX_WAIT)),
            Err(_) => Err("must be a time such as 30s"),
        });
        query.end()?;
        let (limit, wait) = (limit.unwrap_or(DEFAULT_LIMIT), wait.unwrap_or_default());
        Ok(Self { since, filter, limit, wait })
    }
}
