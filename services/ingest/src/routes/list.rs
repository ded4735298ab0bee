//! GET: the newest readings, as the demo listed them.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
};
use chassis::Problem;
use http::{StatusCode, header};

use super::App;
use crate::problems;

/// How many readings are listed where the query does not say.
const DEFAULT_LIMIT: i64 = 100;

/// How many are listed at most, whatever it says.
const MAX_LIMIT: i64 = 1_000;

pub(super) async fn list(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Response {
    match newest(&app, query.as_deref().unwrap_or("")).await {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(problem) => problem.into_response(),
    }
}

async fn newest(app: &App, query: &str) -> Result<Vec<u8>, Problem> {
    let (mut sensor_id, mut limit) = (None, DEFAULT_LIMIT);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "sensor_id" => sensor_id = Some(value.into_owned()),
            "limit" => limit = parse_limit(&value)?,
            _ => {}
        }
    }
    if limit == 0 {
        return Ok(b"[]".to_vec());
    }
    let readings = match sensor_id.as_deref() {
        // no text of Postgres holds it, so no sensor has it
        Some(id) if id.contains('\0') => Vec::new(),
        id => app.database.newest(id, limit).await.map_err(unavailable)?,
    };
    let mut json = Vec::with_capacity(2 + readings.len() * 200);
    json.push(b'[');
    for (n, reading) in readings.iter().enumerate() {
        if n > 0 {
            json.push(b',');
        }
        reading.write_json(&mut json);
    }
    json.push(b']');
    Ok(json)
}

fn parse_limit(text: &str) -> Result<i64, Problem> {
    match text.parse::<u64>() {
        Ok(limit) => Ok(i64::try_from(limit).unwrap_or(MAX_LIMIT).min(MAX_LIMIT)),
        Err(_) => Err(problems::bad_query("limit", "must be a whole number from 0 to 1000")),
    }
}

fn unavailable(error: store::Error) -> Problem {
    tracing::warn!(error = &error as &dyn std::error::Error, "a list could not be read");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", "the database does not answer in time")
        .retry_after(1)
}
