//! One sensor: its newest and its oldest reading.

use access::Caller;
use axum::{
    extract::{Extension, Path, State, rejection::PathRejection},
    response::Response,
};
use chassis::Problem;
use http::{HeaderMap, StatusCode, Uri};
use serde_json::json;
use store::history::Sensor;
use wire::SENSOR_ID_MAX;

use super::{
    answer::{Answer, reply},
    query,
    refusal::unreadable,
};
use crate::gateway::App;

pub(crate) async fn sensor(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    reply(&headers, Some(&caller), read(&app, &caller, id, &uri)).await
}

async fn read(
    app: &App,
    caller: &Caller,
    id: Result<Path<String>, PathRejection>,
    uri: &Uri,
) -> Result<Answer, Problem> {
    caller.reader()?;
    query::nothing(uri.query().unwrap_or_default())?;
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "unknown-sensor", "this sensor has no readings");
    let Path(id) = id.map_err(|_| unknown())?;
    // no sensor has an invalid id: Postgres need not be asked
    let length = id.chars().count();
    if !(1..=SENSOR_ID_MAX).contains(&length) || id.chars().any(char::is_control) {
        return Err(unknown());
    }
    // whether it exists is not for this client: it is answered as one that does not, and as soon
    if !caller.grant.may_read(&id) {
        return Err(unknown());
    }
    app.charge_rows(caller, 1)?;
    let permit = app.history.permit().await?;
    let known = permit.database.sensor(&id).await.map_err(|error| unreadable(&error))?;
    let Sensor { newest, oldest } = known.ok_or_else(unknown)?;
    let mut body = format!(r#"{{"sensor_id":{},"newest":"#, json!(id)).into_bytes();
    newest.write_json(&mut body);
    body.extend_from_slice(br#","oldest":"#);
    oldest.write_json(&mut body);
    body.push(b'}');
    Ok(Answer::json(body))
}
