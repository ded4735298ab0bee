//! The same subscription as a stream of server-sent events (HTML Living Standard §9.2).

use std::time::Duration;

use axum::{
    body::Body,
    extract::{Extension, RawQuery, State},
    response::{IntoResponse, Response},
};
use chassis::{Client, Handover, Permit, Problem, Query};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::time::timeout;
use wire::{Resume, Start};

use super::{
    arrival::arriving,
    query::{LiveQuery, position_ahead},
};
use crate::{
    connection::{Connection, event_socket::EventSocket, event_stream::event_stream},
    encode::Protocol,
    gateway::App,
};

/// What a browser sends when it comes back by itself.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The same in a query: what `EventSource` replacements send, which cannot set headers.
const LAST_EVENT_ID_PARAMETER: &str = "lastEventId";

/// How long the log may take to resolve a position before the stream begins without its answer.
const RESOLVE_LIMIT: Duration = Duration::from_secs(2);

pub(super) async fn stream(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(port): Extension<Permit>,
    handover: Option<Extension<Handover>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    match begin(app, (client, port, handover), &query.unwrap_or_default(), &headers).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

/// The head of a stream, which has no body and so no session.
pub(super) async fn head() -> Response {
    opened(Body::empty())
}

/// A client, its permit of the port, and its socket, where there is one.
type Arrival = (Client, Permit, Option<Extension<Handover>>);

async fn begin(
    app: App,
    (client, port, handover): Arrival,
    query: &str,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let Some(caller) = arriving(&app, (client, headers), None, query).await? else {
        return Err(app.gate.missing().into());
    };
    let mut parameters = Query::parse(query);
    let mut live = LiveQuery::read(&mut parameters);
    live.filter(app.limits.patterns, &mut parameters);
    let last_event_id = last_event_id(&parameters, headers);
    parameters.end()?;
    if let Some(id) = &last_event_id {
        // the query is still the one of the first request
        let Ok(position) = id.parse() else { return Ok(StatusCode::NO_CONTENT.into_response()) };
        live.subscribe.from = Start::After(position);
    }
    if let Start::After(from) = live.subscribe.from
        && let Ok(Ok(Resume::Ahead)) = timeout(RESOLVE_LIMIT, app.replay.resolve(from)).await
    {
        // coming back cannot help: an `EventSource` stops at 204, and one that is opened anew is refused with the reason
        let came_back = last_event_id.is_some();
        return if came_back { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(position_ahead()) };
    }
    let admitted = app.admit(client, Some(&caller))?;
    app.charge_subscription(&caller, &live.subscribe)?;
    let (life, subscribe) = (app.life.clone(), live.subscribe);
    let Some(Extension(handover)) = handover else {
        let (stream, body) = event_stream();
        let begun = Connection::begin(app, stream, admitted, Some(caller), (Protocol::Sse, Some(&subscribe)));
        let mut connection = Box::new(begun);
        life.spawn_work(async move { connection.serve().await });
        return Ok(opened(Body::new(body)));
    };
    let socket = handover.take_socket();
    life.spawn_work(async move {
        let Some(socket) = socket.await else { return };
        let peer = EventSocket::new(socket);
        let begun = Connection::begin(app, peer, admitted, Some(caller), (Protocol::Sse, Some(&subscribe)));
        let mut connection = Box::new(begun);
        drop(subscribe);
        connection.serve().await;
        drop(port);
    });
    Ok(opened(Body::empty()))
}

/// What the client had when its stream ended; empty: it had nothing.
fn last_event_id(query: &Query<'_>, headers: &HeaderMap) -> Option<String> {
    let parameter = || query.all(LAST_EVENT_ID_PARAMETER).next().map(str::to_owned);
    let header = headers.get(LAST_EVENT_ID).map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
    header.or_else(parameter).filter(|id| !id.is_empty())
}

fn opened(body: Body) -> Response {
    let fixed = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        // a proxy that compresses would hold events back to fill a block, and nginx to fill a buffer
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform")),
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (fixed, body).into_response()
}
