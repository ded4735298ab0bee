//! POST: readings in, committed when the answer is 201.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use chassis::{Problem, Query};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use store::NewReading;
use time::OffsetDateTime;
use wire::Reading;

use crate::{
    app::App,
    body::{self, Format, Item, Payload},
    committer::job::NotStored,
    receive::receive,
    refusals::{self, Refused},
    times::{Precision, Times},
};

/// Media types of a body of lines.
const LINES: [&str; 3] = ["application/x-ndjson", "application/ndjson", "application/jsonl"];

/// Names of UTF-8, the one charset of JSON (RFC 8259 §8.1), and of ASCII, its subset.
const UTF_8: [&str; 3] = ["utf-8", "utf8", "us-ascii"];

/// The demo's message for a stored reading.
const MESSAGE: &str = "Sensor reading created successfully";

pub(super) async fn post(State(app): State<Arc<App>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let query = head.uri.query().unwrap_or("");
    store(&app, query, &head.headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn store(app: &App, query: &str, headers: &HeaderMap, body: Body) -> Result<Response, Problem> {
    let format = format(headers).ok_or_else(refusals::media_type)?;
    let mut query = Query::parse(query);
    let precision = query.take("precision", Precision::parse);
    let partial = query.take("partial", flag).unwrap_or(false);
    query.end()?;
    let received = receive(app, headers, body).await?;
    let times = Times { now: OffsetDateTime::now_utc(), precision };
    if partial {
        let items = body::parse_each(received.body(), format, times).map_err(refusals::refused)?;
        // what waits from here on is counted by the queue
        drop(received);
        return Ok(each(store_each(app, items).await));
    }
    let payload = body::parse(received.body(), format, times).map_err(refusals::refused)?;
    drop(received);
    let (readings, is_one) = match payload {
        Payload::One(reading) => (vec![reading], true),
        Payload::Many(readings) => (readings, false),
    };
    let stored = app.committer.store(traced(readings)).await.map_err(refusals::not_stored)?;
    Ok(created(if is_one { stored.first().map(one).unwrap_or_default() } else { many(&stored) }))
}

/// With the trace of this request.
pub(super) fn traced(readings: Vec<NewReading>) -> Vec<NewReading> {
    let traceparent = chassis::traces::traceparent();
    let with_trace = |reading| NewReading { traceparent: traceparent.clone(), ..reading };
    readings.into_iter().map(with_trace).collect()
}

/// Stores those that are valid; what became of each, in their order.
async fn store_each(app: &App, items: Vec<Item>) -> Vec<Result<Reading, Problem>> {
    let (mut valid, mut wrong) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Ok(reading) => {
                valid.push(reading);
                wrong.push(None);
            }
            Err(faults) => wrong.push(Some(refusals::refused(Refused::Malformed(faults)))),
        }
    }
    let mut stored = app.committer.store_each(traced(valid)).await.into_iter();
    let result = |wrong: Option<Problem>| match wrong {
        Some(problem) => Err(problem),
        None => stored.next().unwrap_or(Err(NotStored::Unavailable)).map_err(refusals::not_stored),
    };
    wrong.into_iter().map(result).collect()
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

/// What became of each reading of a list.
fn each(results: Vec<Result<Reading, Problem>>) -> Response {
    let created = results.iter().filter(|result| result.is_ok()).count();
    let message = format!("{created} of {} sensor readings created", results.len());
    let result = |result: &Result<Reading, Problem>| match result {
        Ok(reading) => json!({ "status": 201, "id": reading.id }),
        Err(problem) => problem.to_json(),
    };
    let results: Vec<Value> = results.iter().map(result).collect();
    let success = created == results.len();
    let json = json!({ "success": success, "message": message, "results": results }).to_string();
    (StatusCode::MULTI_STATUS, [(header::CONTENT_TYPE, "application/json")], json).into_response()
}

fn created(json: Vec<u8>) -> Response {
    (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], json).into_response()
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
