//! Line protocol in, as InfluxDB's two versions take it: `/api/v2/write` and `/write`.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{RawQuery, Request, State},
    response::{IntoResponse, Response},
};
use chassis::{Problem, Query};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;
use time::OffsetDateTime;

use super::post::traced;
use crate::{
    app::App,
    committer::job::NotStored,
    influx::lines::{Lines, Place, TooMuch},
    receive::receive,
    refusals,
    times::{Precision, Times},
};

/// Which of InfluxDB's two versions a client speaks to: what differs is the shape of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// The header in which clients of the first version look for an error.
const ERROR: HeaderName = HeaderName::from_static("x-influxdb-error");

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// By which clients tell that something speaks line protocol at all.
const VERSION: HeaderName = HeaderName::from_static("x-influxdb-version");

pub(super) async fn write_v1(app: State<Arc<App>>, request: Request) -> Response {
    write(&app, Version::One, request).await
}

pub(super) async fn write_v2(app: State<Arc<App>>, request: Request) -> Response {
    write(&app, Version::Two, request).await
}

/// Both versions ask for it to see whether the server is there.
pub(super) async fn ping() -> Response {
    (StatusCode::NO_CONTENT, [(VERSION, concat!("rowcast-", env!("CARGO_PKG_VERSION")))]).into_response()
}

pub(super) async fn health() -> Response {
    let json = json!({ "name": "rowcast", "message": "ready for writes", "status": "pass", "checks": [],
        "version": env!("CARGO_PKG_VERSION") });
    ([(header::CONTENT_TYPE, JSON)], json.to_string()).into_response()
}

/// Clients of the first version create their database before they write. It needs no creation; nothing else is answered.
pub(super) async fn query(RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let statement = Query::parse(&query).all("q").last().unwrap_or_default().trim().to_ascii_uppercase();
    if statement.starts_with("CREATE DATABASE") {
        let json = json!({ "results": [{ "statement_id": 0 }] });
        return ([(header::CONTENT_TYPE, JSON)], json.to_string()).into_response();
    }
    Version::One.refusal(refusals::no_queries())
}

async fn write(app: &App, version: Version, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let stored = store(app, version, head.uri.query().unwrap_or(""), &head.headers, body).await;
    stored.map_or_else(|problem| version.refusal(problem), |()| StatusCode::NO_CONTENT.into_response())
}

async fn store(
    app: &App,
    version: Version,
    query: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<(), Problem> {
    let mut query = Query::parse(query);
    let precision = query.take("precision", Precision::parse).unwrap_or(Precision::Nanoseconds);
    let text = |name: &str| query.all(name).last().unwrap_or_default().to_owned();
    let (org, bucket) = (text("org"), text(version.bucket()));
    query.end()?;
    let received = receive(app, headers, body).await?;
    let text = std::str::from_utf8(received.body()).map_err(|_| refusals::not_utf_8())?;
    let place = Place { rule: &app.influx, org: &org, bucket: &bucket };
    let times = Times { now: OffsetDateTime::now_utc(), precision: Some(precision) };
    let mut lines = Lines::read(text, place, times).map_err(|TooMuch| refusals::too_many_fields())?;
    // what waits from here on is counted by the queue
    drop(received);
    store_lines(app, &mut lines).await?;
    match lines.first {
        None => Ok(()),
        Some((line, why)) => Err(refusals::partial_write(line, &why, lines.dropped)),
    }
}

/// Stores them together; where the table refuses them, each by itself, so that one keeps no other out.
async fn store_lines(app: &App, lines: &mut Lines) -> Result<(), Problem> {
    if lines.readings.is_empty() {
        return Ok(());
    }
    let readings = traced(std::mem::take(&mut lines.readings));
    match app.committer.store(readings.clone()).await {
        Ok(_) => Ok(()),
        Err(NotStored::BadData | NotStored::TooLarge) => {
            for stored in app.committer.store_each(readings).await {
                match stored {
                    Ok(_) => {}
                    Err(error @ (NotStored::BadData | NotStored::TooLarge)) => {
                        lines.drop_one(0, error.to_string())
                    }
                    Err(error) => return Err(refusals::not_stored(error)),
                }
            }
            Ok(())
        }
        Err(error) => Err(refusals::not_stored(error)),
    }
}

impl Version {
    /// The parameter that names where readings belong.
    const fn bucket(self) -> &'static str {
        match self {
            Self::One => "db",
            Self::Two => "bucket",
        }
    }

    /// A refusal in its shape; status and headers are those of every other one.
    fn refusal(self, problem: Problem) -> Response {
        let (detail, status) = (problem.detail().to_owned(), problem.status());
        let json = match self {
            Self::One => json!({ "error": detail }),
            Self::Two => json!({ "code": code(status), "message": detail }),
        };
        let mut response = problem.into_response();
        *response.body_mut() = json.to_string().into();
        response.headers_mut().insert(header::CONTENT_TYPE, JSON);
        // a detail may quote what cannot stand in a header
        if let (Self::One, Ok(detail)) = (self, HeaderValue::from_str(&detail)) {
            response.headers_mut().insert(ERROR, detail);
        }
        response
    }
}

/// The word of the second version's API for a status.
fn code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::NOT_FOUND => "not found",
        StatusCode::METHOD_NOT_ALLOWED => "method not allowed",
        StatusCode::PAYLOAD_TOO_LARGE => "request too large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported media type",
        StatusCode::TOO_MANY_REQUESTS => "too many requests",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        status if status.is_client_error() => "invalid",
        _ => "internal error",
    }
}
