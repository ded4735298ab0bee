//! Line protocol in, as InfluxDB's two versions take it: `/api/v2/write` and `/write`.

use std::sync::Arc;

use access::Caller;
use axum::{
    body::Body,
    extract::{Extension, RawQuery, Request, State},
    response::{IntoResponse, Response},
};
use chassis::{Problem, Query};
use http::{HeaderName, HeaderValue, StatusCode, header, request::Parts};
use serde_json::{Value, json};
use store::readings::once::Answer;
use time::OffsetDateTime;
use wire::Reading;

use super::post::{answer, respond, traced};
use crate::{
    app::App,
    committer::not_stored::NotStored,
    influx::lines::{Lines, Place, TooMuch},
    permission::may_store,
    receive::receive,
    refusals,
    request_key::{Identity, RequestKey, identity, key_of},
    times::{Precision, Times},
    writer::Writer,
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

pub(super) async fn write_v1(app: State<Arc<App>>, caller: Extension<Caller>, request: Request) -> Response {
    write(&app, &caller, Version::One, request).await
}

pub(super) async fn write_v2(app: State<Arc<App>>, caller: Extension<Caller>, request: Request) -> Response {
    write(&app, &caller, Version::Two, request).await
}

/// The refusal of a client that is not let in, as the first version has it.
pub(super) fn refusal_v1(problem: Problem) -> Response {
    Version::One.refusal(problem)
}

/// The same for the second version.
pub(super) fn refusal_v2(problem: Problem) -> Response {
    Version::Two.refusal(problem)
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
pub(super) async fn query(Extension(caller): Extension<Caller>, RawQuery(query): RawQuery) -> Response {
    if let Err(denial) = caller.writer() {
        return Version::One.refusal(denial.into());
    }
    let query = query.unwrap_or_default();
    let statement = Query::parse(&query).all("q").last().unwrap_or_default().trim().to_ascii_uppercase();
    if statement.starts_with("CREATE DATABASE") {
        let json = json!({ "results": [{ "statement_id": 0 }] });
        return ([(header::CONTENT_TYPE, JSON)], json.to_string()).into_response();
    }
    Version::One.refusal(refusals::no_queries())
}

async fn write(app: &App, caller: &Caller, version: Version, request: Request) -> Response {
    let (head, body) = request.into_parts();
    store(app, caller, version, &head, body).await.unwrap_or_else(|problem| version.refusal(problem))
}

async fn store(
    app: &App,
    caller: &Caller,
    version: Version,
    head: &Parts,
    body: Body,
) -> Result<Response, Problem> {
    caller.writer()?;
    let key = key_of(&head.headers).map_err(refusals::request_key)?;
    let mut query = Query::parse(head.uri.query().unwrap_or(""));
    let precision = query.take("precision", Precision::parse).unwrap_or(Precision::Nanoseconds);
    let text = |name: &str| query.all(name).last().unwrap_or_default().to_owned();
    let (org, bucket) = (text("org"), text(version.bucket()));
    query.end()?;
    let writer = Writer::of(&head.extensions);
    let received = receive(app, &head.headers, body).await?;
    let text = std::str::from_utf8(received.body()).map_err(|_| refusals::not_utf_8())?;
    let place = Place { rule: &app.influx, org: &org, bucket: &bucket };
    let times = Times { now: OffsetDateTime::now_utc(), precision: Some(precision) };
    let identity = || key.map(|key| identity(&writer, &key, (&head.uri, &head.headers, received.body())));
    let (request, lines) = app.large.run(text.len(), || (identity(), Lines::read(text, place, times))).await;
    let lines = lines.map_err(|TooMuch| refusals::too_many_fields())?;
    may_store(caller, &lines.readings, false)?;
    app.gate.take_readings(caller, lines.readings.len())?;
    // what waits from here on is counted by the queue
    drop(received);
    match request {
        Some(request) => store_once(app, version, &writer, lines, request).await,
        None => Ok(version.respond(version.answer(&store_lines(app, &writer, lines).await?), false)),
    }
}

async fn store_once(
    app: &App,
    version: Version,
    writer: &Writer,
    mut lines: Lines,
    (id, digest): Identity,
) -> Result<Response, Problem> {
    let readings = traced(std::mem::take(&mut lines.readings));
    let compose =
        move |results: &[Result<Reading, NotStored>]| version.answer(&lines.clone().refused(results));
    let request = RequestKey { id, digest, is_partial: true, compose: Box::new(compose) };
    let stored = app.committer.store_once(writer, readings, request).await;
    let (answer, is_replayed) = stored.map_err(refusals::not_stored)?;
    Ok(version.respond(answer, is_replayed))
}

/// Stores them together; where the table refuses them, each by itself, so that one keeps no other out.
async fn store_lines(app: &App, writer: &Writer, mut lines: Lines) -> Result<Lines, Problem> {
    if lines.readings.is_empty() {
        return Ok(lines);
    }
    let readings = traced(std::mem::take(&mut lines.readings));
    match app.committer.store(writer, readings.clone()).await {
        Ok(_) => Ok(lines),
        Err(NotStored::BadData | NotStored::TooLarge) => {
            let results = app.committer.store_each(writer, readings).await;
            let is_refusal = |error: &&NotStored| matches!(error, NotStored::BadData | NotStored::TooLarge);
            match results.iter().filter_map(|result| result.as_ref().err()).find(|error| !is_refusal(error)) {
                Some(error) => Err(refusals::not_stored(*error)),
                None => Ok(lines.refused(&results)),
            }
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

    /// What is said of lines that are stored, but for those that were dropped.
    fn answer(self, lines: &Lines) -> Answer {
        match &lines.first {
            None => Answer { status: StatusCode::NO_CONTENT.as_u16(), content_type: None, body: Vec::new() },
            Some((line, why)) => {
                let problem = refusals::partial_write(*line, why, lines.dropped);
                answer(problem.status(), self.shape(&problem).to_string().into_bytes())
            }
        }
    }

    fn respond(self, answer: Answer, is_replayed: bool) -> Response {
        let error = (self == Self::One).then(|| serde_json::from_slice::<Value>(&answer.body).ok()).flatten();
        let mut response = respond(answer, is_replayed);
        if let Some(detail) = error.as_ref().and_then(|json| json["error"].as_str()) {
            name_error(&mut response, detail);
        }
        response
    }

    /// A refusal in its shape; status and headers are those of every other one.
    fn refusal(self, problem: Problem) -> Response {
        let (json, detail) = (self.shape(&problem), problem.detail().to_owned());
        let mut response = problem.into_response();
        *response.body_mut() = json.to_string().into();
        response.headers_mut().insert(header::CONTENT_TYPE, JSON);
        if self == Self::One {
            name_error(&mut response, &detail);
        }
        response
    }

    fn shape(self, problem: &Problem) -> Value {
        match self {
            Self::One => json!({ "error": problem.detail() }),
            Self::Two => json!({ "code": code(problem.status()), "message": problem.detail() }),
        }
    }
}

fn name_error(response: &mut Response, detail: &str) {
    // a detail may quote what cannot stand in a header
    if let Ok(detail) = HeaderValue::from_str(detail) {
        response.headers_mut().insert(ERROR, detail);
    }
}

/// The word of the second version's API for a status.
fn code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::NOT_FOUND => "not found",
        StatusCode::METHOD_NOT_ALLOWED => "method not allowed",
        StatusCode::CONFLICT => "conflict",
        StatusCode::UNPROCESSABLE_ENTITY => "unprocessable entity",
        StatusCode::PAYLOAD_TOO_LARGE => "request too large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported media type",
        StatusCode::TOO_MANY_REQUESTS => "too many requests",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        status if status.is_client_error() => "invalid",
        _ => "internal error",
    }
}
