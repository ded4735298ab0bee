//! POST: readings in, committed when the answer says 201.

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::json;
use time::OffsetDateTime;
use wire::Reading;

use super::App;
use crate::{
    body::{self, ARRAY_BYTES, Form, Said},
    problems,
};

/// The demo's word for a stored reading.
const MESSAGE: &str = "Sensor reading created successfully";

pub(super) async fn post(State(app): State<App>, headers: HeaderMap, body: Body) -> Response {
    match store(&app, &headers, body).await {
        Ok(answer) => answer,
        Err(problem) => problem.into_response(),
    }
}

async fn store(app: &App, headers: &HeaderMap, body: Body) -> Result<Response, chassis::Problem> {
    let form = form(headers).ok_or_else(problems::media_type)?;
    let body = read(body).await?;
    let said = body::parse(&body, form, OffsetDateTime::now_utc()).map_err(problems::refused)?;
    let traceparent = chassis::traces::traceparent();
    let with_trace = |mut reading: store::NewReading| {
        reading.traceparent.clone_from(&traceparent);
        reading
    };
    match said {
        Said::One(reading) => {
            let stored =
                app.committer.store(vec![with_trace(reading)]).await.map_err(problems::not_stored)?;
            Ok(created(stored.iter().flat_map(one).collect()))
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
    let essence = named.to_str().ok()?.split(';').next()?.trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" => Some(Form::Json),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(Form::Lines),
        _ => None,
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
    let mut answer = Vec::with_capacity(256 + reading.metadata.len());
    reading.write_fields(&mut answer);
    answer.extend_from_slice(format!(r#","message":"{MESSAGE}","success":true}}"#).as_bytes());
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
