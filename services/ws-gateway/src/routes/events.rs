//! The same subscription as a stream of server-sent events (HTML Living Standard §9.2).

use std::net::SocketAddr;

use axum::{
    body::Body,
    extract::{ConnectInfo, RawQuery, State},
    response::{IntoResponse, Response},
};
use chassis::Problem;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use wire::Start;

use super::{Admitted, App};
use crate::{
    connection::{Connection, event_stream::event_stream},
    form::Form,
    query::{Query, bad_position, bad_query},
};

/// What a browser sends when it comes back by itself.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub(super) async fn stream(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    match begin(app, peer, &query.unwrap_or_default(), &headers) {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

fn begin(app: App, peer: SocketAddr, query: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let mut query = Query::parse(query)?;
    query.filter()?;
    if let Some(sensors) = &query.subscribe.sensors
        && sensors.len() > app.limits.patterns
    {
        return Err(bad_query("sensor: these are more patterns than a subscription may have"));
    }
    if let Some(id) = headers.get(LAST_EVENT_ID) {
        // the query still says what it said at first
        let position = id.to_str().ok().and_then(|id| id.parse().ok());
        let position = position.ok_or_else(|| bad_position("Last-Event-ID is no position"))?;
        query.subscribe.from = Start::After(position);
    }
    let Admitted { place, head, allow_origin } = app.admit(headers, peer)?;
    let (stream, body) = event_stream();
    let life = app.life.clone();
    let mut connection =
        Box::new(Connection::begin(app, stream, place, Form::Sse, Some(&query.subscribe), head));
    life.spawn_work(async move { connection.serve().await });
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would hold events back to fill a buffer
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    headers.extend(allow_origin);
    Ok(response)
}
