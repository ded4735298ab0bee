//! What of a request its sender may do.

use access::Caller;
use chassis::Problem;
use http::StatusCode;
use serde_json::json;
use store::NewReading;

/// Whether it may write these. One that it may not refuses all.
pub(crate) fn may_store(caller: &Caller, readings: &[NewReading], is_one: bool) -> Result<(), Problem> {
    let denied = |reading: &NewReading| !caller.grant.may_write(&reading.sensor_id);
    let Some(place) = readings.iter().position(denied) else { return Ok(()) };
    let pointer = if is_one { "/sensor_id".to_owned() } else { format!("/{place}/sensor_id") };
    Err(refusal(&readings[place].sensor_id, &pointer))
}

/// The refusal of a reading.
pub(crate) fn refusal(sensor_id: &str, pointer: &str) -> Problem {
    let detail = format!("this credential may not write the sensor {sensor_id:?}");
    let fault = json!({ "pointer": pointer, "detail": detail });
    Problem::new(StatusCode::FORBIDDEN, "forbidden", detail.clone()).errors(&[fault])
}
