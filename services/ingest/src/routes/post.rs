//! POST: readings in, committed when the answer is 201.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::json;
use store::NewReading;
use time::OffsetDateTime;
use tokio::sync::OwnedSemaphorePermit;
use wire::Reading;

use crate::{
    app::App,
    body::{self, Format, Payload},
    encoding::{Coding, Unreadable},
    limits::ARRAY_BYTES,
    refusals,
};

/// Media types of a body of lines.
const LINES: [&str; 3] = ["application/x-ndjson", "application/ndjson", "application/jsonl"];

/// Names of UTF-8, the one charset of JSON (RFC 8259 §8.1), and of ASCII, its subset.
const UTF_8: [&str; 3] = ["utf-8", "utf8", "us-ascii"];

/// The demo's message for a stored reading.
const MESSAGE: &str = "Sensor reading created successfully";

pub(super) async fn post(State(app): State<Arc<App>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    store(&app, &head.headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn store(app: &App, headers: &HeaderMap, body: Body) -> Result<Response, chassis::Problem> {
    let format = format(headers).ok_or_else(refusals::media_type)?;
    let coding = Coding::of(headers).ok_or_else(refusals::content_coding)?;
    if announced(headers).is_some_and(|bytes| bytes > ARRAY_BYTES as u64) {
        return Ok(refusals::unread(refusals::body_too_large()));
    }
    let (body, permit) = read(app, body).await?;
    let body = coding.decode(body, ARRAY_BYTES).map_err(|error| match error {
        Unreadable::TooLarge => refusals::body_too_large(),
        Unreadable::Broken => refusals::broken_coding(),
    })?;
    let payload = body::parse(&body, format, OffsetDateTime::now_utc()).map_err(refusals::refused)?;
    // what waits from here on is counted by the queue
    drop((body, permit));
    let traceparent = chassis::traces::traceparent();
    let with_trace = |reading: NewReading| NewReading { traceparent: traceparent.clone(), ..reading };
    match payload {
        Payload::One(reading) => {
            let stored =
                app.committer.store(vec![with_trace(reading)]).await.map_err(refusals::not_stored)?;
            Ok(created(stored.first().map(one).unwrap_or_default()))
        }
        Payload::Many(readings) => {
            let readings = readings.into_iter().map(with_trace).collect();
            let stored = app.committer.store(readings).await.map_err(refusals::not_stored)?;
            Ok(created(many(&stored)))
        }
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

/// The length that the head announces. A client that waits for `100 Continue` is refused before it sends too much.
fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The whole body as it came, and its permit.
async fn read(app: &App, body: Body) -> Result<(Bytes, OwnedSemaphorePermit), chassis::Problem> {
    let (mut body, mut whole) = (Limited::new(body, ARRAY_BYTES), BytesMut::new());
    let mut permit = app.bodies.take(0)?;
    // a body that is there at once takes no permit: many large bodies that are being received keep no small one out
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let too_large = error.is::<LengthLimitError>();
            if too_large { refusals::body_too_large() } else { refusals::broken_body() }
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.is_empty() && body.is_end_stream() {
            return Ok((data, permit));
        }
        permit.merge(app.bodies.take(data.len())?);
        whole.extend_from_slice(&data);
    }
    Ok((whole.freeze(), permit))
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
