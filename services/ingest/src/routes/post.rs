//! POST: readings in, committed when the answer is 201.

use std::sync::Arc;

use access::Caller;
use axum::{
    body::Body,
    extract::{Extension, Request, State},
    response::{IntoResponse, Response},
};
use chassis::{Problem, Query};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use serde_json::{Value, json};
use store::{NewReading, readings::once::Answer};
use time::OffsetDateTime;
use wire::Reading;

use crate::{
    app::App,
    body::{self, Format, Item, Payload},
    committer::not_stored::NotStored,
    permission::{may_store, refusal},
    receive::receive,
    refusals::{self, Refused},
    request_key::{Identity, REPLAYED, RequestKey, identity, key_of},
    times::{Precision, Times},
    writer::Writer,
};

/// Media types of a body of lines.
const LINES: [&str; 3] = ["application/x-ndjson", "application/ndjson", "application/jsonl"];

/// Names of UTF-8, the one charset of JSON (RFC 8259 §8.1), and of ASCII, its subset.
const UTF_8: [&str; 3] = ["utf-8", "utf8", "us-ascii"];

/// The demo's message for a stored reading.
const MESSAGE: &str = "Sensor reading created successfully";

pub(super) async fn post(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    store(&app, &caller, &head, body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn store(app: &App, caller: &Caller, head: &Parts, body: Body) -> Result<Response, Problem> {
    caller.writer()?;
    let format = format(&head.headers).ok_or_else(refusals::media_type)?;
    let key = key_of(&head.headers).map_err(refusals::request_key)?;
    let mut query = Query::parse(head.uri.query().unwrap_or(""));
    let precision = query.take("precision", Precision::parse);
    let partial = query.take("partial", flag).unwrap_or(false);
    query.end()?;
    let writer = Writer::of(&head.extensions);
    let received = receive(app, &head.headers, body).await?;
    let times = Times { now: OffsetDateTime::now_utc(), precision };
    let text = received.body();
    let identity = || key.map(|key| identity(&writer, &key, (&head.uri, &head.headers, text)));
    if partial {
        let read = || (identity(), body::parse_each(text, format, times));
        let (request, items) = app.large.run(text.len(), read).await;
        // what waits from here on is counted by the queue
        drop(received);
        let items = Items::new(items.map_err(refusals::refused)?, caller);
        app.gate.take_readings(caller, items.valid.len())?;
        return store_items(app, &writer, items, request).await;
    }
    let read = || (identity(), body::parse(text, format, times));
    let (request, payload) = app.large.run(text.len(), read).await;
    drop(received);
    let payload = payload.map_err(refusals::refused)?;
    let (readings, is_one) = match payload {
        Payload::One(reading) => (vec![reading], true),
        Payload::Many(readings) => (readings, false),
    };
    may_store(caller, &readings, is_one)?;
    app.gate.take_readings(caller, readings.len())?;
    let created = move |stored: &[Reading]| created(stored, is_one);
    let Some((id, digest)) = request else {
        let stored = app.committer.store(&writer, traced(readings)).await.map_err(refusals::not_stored)?;
        return Ok(respond(created(&stored), false));
    };
    let compose = move |results: &[Result<Reading, NotStored>]| {
        created(&results.iter().flatten().cloned().collect::<Vec<_>>())
    };
    let request = RequestKey { id, digest, is_partial: false, compose: Box::new(compose) };
    store_once(app, &writer, readings, request).await
}

/// Stores those of a list that are valid.
async fn store_items(
    app: &App,
    writer: &Writer,
    Items { valid, wrong }: Items,
    request: Option<Identity>,
) -> Result<Response, Problem> {
    let Some((id, digest)) = request else {
        let results = app.committer.store_each(writer, traced(valid)).await;
        return Ok(respond(each(&wrong, &results), false));
    };
    let compose = move |results: &[Result<Reading, NotStored>]| each(&wrong, results);
    let request = RequestKey { id, digest, is_partial: true, compose: Box::new(compose) };
    store_once(app, writer, valid, request).await
}

async fn store_once(
    app: &App,
    writer: &Writer,
    readings: Vec<NewReading>,
    request: RequestKey,
) -> Result<Response, Problem> {
    let stored = app.committer.store_once(writer, traced(readings), request).await;
    let (answer, is_replayed) = stored.map_err(refusals::not_stored)?;
    Ok(respond(answer, is_replayed))
}

/// The answer on its way.
pub(super) fn respond(answer: Answer, is_replayed: bool) -> Response {
    let Answer { status, content_type, body } = answer;
    let mut response = (StatusCode::from_u16(status).unwrap_or_default(), body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    if let Some(content_type) = content_type.and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    if is_replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// With the trace of this request.
pub(super) fn traced(readings: Vec<NewReading>) -> Vec<NewReading> {
    let traceparent = chassis::traces::traceparent();
    let with_trace = |reading| NewReading { traceparent: traceparent.clone(), ..reading };
    readings.into_iter().map(with_trace).collect()
}

/// The valid readings of a list, and for each of its items what is wrong with it.
struct Items {
    valid: Vec<NewReading>,
    wrong: Vec<Option<Problem>>,
}

impl Items {
    fn new(items: Vec<Item>, caller: &Caller) -> Self {
        let (mut valid, mut wrong) = (Vec::new(), Vec::new());
        for item in items {
            match item {
                Ok(reading) if !caller.grant.may_write(&reading.sensor_id) => {
                    wrong.push(Some(refusal(&reading.sensor_id, "/sensor_id")));
                }
                Ok(reading) => {
                    valid.push(reading);
                    wrong.push(None);
                }
                Err(faults) => wrong.push(Some(refusals::refused(Refused::Malformed(faults)))),
            }
        }
        Self { valid, wrong }
    }
}

fn flag(text: &str) -> Result<bool, &'static str> {
    match text {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err("must be 1 or 0"),
    }
}

/// The format that the content type names, in UTF-8. The demo took only JSON; a body without a type is taken for it.
fn format(headers: &HeaderMap) -> Option<Format> {
    let Some(named) = headers.get(header::CONTENT_TYPE) else { return Some(Format::Json) };
    let mut parts = named.to_str().ok()?.split(';').map(str::trim);
    let essence = parts.next()?;
    let other_charset = parts.filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
        let value = value.trim_matches('"');
        name.eq_ignore_ascii_case("charset") && !UTF_8.iter().any(|alias| value.eq_ignore_ascii_case(alias))
    });
    if other_charset {
        None
    } else if essence.eq_ignore_ascii_case("application/json") {
        Some(Format::Json)
    } else {
        LINES.iter().any(|lines| essence.eq_ignore_ascii_case(lines)).then_some(Format::Lines)
    }
}

fn one(reading: &Reading) -> Vec<u8> {
    let mut answer = Vec::with_capacity(384 + reading.sensor_id.len() + reading.metadata.len());
    reading.write_fields(&mut answer);
    answer.extend_from_slice(br#","message":""#);
    answer.extend_from_slice(MESSAGE.as_bytes());
    answer.extend_from_slice(br#"","success":true}"#);
    answer
}

fn many(stored: &[Reading]) -> Vec<u8> {
    let ids: Vec<i64> = stored.iter().map(|reading| reading.id).collect();
    json!({ "success": true, "message": format!("{} sensor readings created successfully", ids.len()), "ids": ids })
        .to_string()
        .into_bytes()
}

/// What became of each reading of a list: what is wrong with it, or the next of the results.
fn each(wrong: &[Option<Problem>], results: &[Result<Reading, NotStored>]) -> Answer {
    let mut results = results.iter();
    let mut created = 0;
    let mut result =
        |wrong: &Option<Problem>| match (wrong, wrong.is_none().then(|| results.next()).flatten()) {
            (Some(problem), _) => problem.to_json(),
            (None, Some(Ok(reading))) => {
                created += 1;
                json!({ "status": 201, "id": reading.id })
            }
            (None, Some(Err(error))) => refusals::not_stored(*error).to_json(),
            (None, None) => refusals::unavailable().to_json(),
        };
    let results: Vec<Value> = wrong.iter().map(&mut result).collect();
    let message = format!("{created} of {} sensor readings created", results.len());
    let success = created == results.len();
    let json = json!({ "success": success, "message": message, "results": results }).to_string();
    answer(StatusCode::MULTI_STATUS, json.into_bytes())
}

fn created(stored: &[Reading], is_one: bool) -> Answer {
    let json = if is_one { stored.first().map(one).unwrap_or_default() } else { many(stored) };
    answer(StatusCode::CREATED, json)
}

/// An answer in JSON.
pub(super) fn answer(status: StatusCode, json: Vec<u8>) -> Answer {
    Answer { status: status.as_u16(), content_type: Some("application/json".to_owned()), body: json }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_json_or_lines_in_utf_8() {
        for (named, expected) in [
            ("application/json", Some(Format::Json)),
            ("Application/JSON; charset=UTF-8", Some(Format::Json)),
            ("application/json;charset=\"utf-8\"", Some(Format::Json)),
            ("application/json; charset=iso-8859-1", None),
            ("application/x-ndjson; charset=utf-16", None),
            ("application/x-ndjson", Some(Format::Lines)),
            ("text/plain", None),
            ("application/x-www-form-urlencoded", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, named.parse().unwrap());
            assert_eq!(format(&headers), expected, "{named}");
        }
        assert_eq!(format(&HeaderMap::new()), Some(Format::Json));
    }
}
