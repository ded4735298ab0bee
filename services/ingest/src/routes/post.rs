//! POST: readings in, committed when the answer says 201.

use std::{convert::Infallible, sync::Arc};

use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::json;
use store::NewReading;
use time::OffsetDateTime;
use tower::{Layer, ServiceExt, service_fn};
use tower_http::decompression::RequestDecompressionLayer;
use wire::Reading;

use super::App;
use crate::{
    body::{self, ARRAY_BYTES, Form, Said},
    problems,
};

/// What a body of lines is called.
const LINES: [&str; 3] = ["application/x-ndjson", "application/ndjson", "application/jsonl"];

/// The demo's word for a stored reading.
const MESSAGE: &str = "Sensor reading created successfully";

pub(super) async fn post(State(app): State<Arc<App>>, request: Request) -> Response {
    // few devices compress, and all would pay for being asked
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        decompressed(app, request).await
    } else {
        answer(&app, request).await
    }
}

async fn decompressed(app: Arc<App>, request: Request) -> Response {
    let inner = service_fn(|request: http::Request<_>| async {
        Ok::<_, Infallible>(answer(&app, request.map(Body::new)).await)
    });
    let outer = RequestDecompressionLayer::new().gzip(true).zstd(true).layer(inner);
    match outer.oneshot(request).await {
        Ok(answer) => answer.into_response(),
        Err(never) => match never {},
    }
}

async fn answer(app: &App, request: Request) -> Response {
    let (head, body) = request.into_parts();
    store(app, &head.headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn store(app: &App, headers: &HeaderMap, body: Body) -> Result<Response, chassis::Problem> {
    let form = form(headers).ok_or_else(problems::media_type)?;
    let body = read(body).await?;
    let said = body::parse(&body, form, OffsetDateTime::now_utc()).map_err(problems::refused)?;
    let traceparent = chassis::traces::traceparent();
    let with_trace = |reading: NewReading| NewReading { traceparent: traceparent.clone(), ..reading };
    match said {
        Said::One(reading) => {
            let stored =
                app.committer.store(vec![with_trace(reading)]).await.map_err(problems::not_stored)?;
            Ok(created(stored.first().map(one).unwrap_or_default()))
        }
        Said::Many(readings) => {
            let readings = readings.into_iter().map(with_trace).collect();
            let stored = app.committer.store(readings).await.map_err(problems::not_stored)?;
            Ok(created(many(&stored)))
        }
    }
}

/// The form that the content type names. The demo took only JSON; a body without a type is taken for it.
fn form(headers: &HeaderMap) -> Option<Form> {
    let Some(named) = headers.get(header::CONTENT_TYPE) else { return Some(Form::Json) };
    let essence = named.to_str().ok()?.split(';').next()?.trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Some(Form::Json)
    } else {
        LINES.iter().any(|lines| essence.eq_ignore_ascii_case(lines)).then_some(Form::Lines)
    }
}

/// The whole body, after decompression: the limit is on what it unfolds to.
async fn read(body: Body) -> Result<Bytes, chassis::Problem> {
    match Limited::new(body, ARRAY_BYTES).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(problems::body_too_large()),
        Err(_) => Err(problems::broken_body()),
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

fn created(json: Vec<u8>) -> Response {
    (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], json).into_response()
}
