//! What of a request its sender may do.

use access::{Caller, Denial};
use chassis::Problem;
use http::StatusCode;
use serde_json::json;
use store::NewReading;

/// Whether a sender may write anything: asked before its body is read.
pub(crate) fn may_write(caller: &Caller) -> Result<(), Denial> {
    caller.writer().map(|_| ())
}

/// Whether it may write these. One that it may not refuses all.
pub(crate) fn may_store(caller: &Caller, readings: &[NewReading]) -> Result<(), Problem> {
    let denied = |reading: &NewReading| !caller.grant.may_write(&reading.sensor_id);
    match readings.iter().position(denied) {
        Some(place) => Err(refusal(&readings[place].sensor_id, place)),
        None => Ok(()),
    }
}

/// The refusal of a reading, by its place in the list.
pub(crate) fn refusal(sensor_id: &str, place: usize) -> Problem {
    let detail = format!("this credential may not write the sensor {sensor_id:?}");
    let fault = json!({ "pointer": format!("/{place}/sensor_id"), "detail": detail });
    Problem::new(StatusCode::FORBIDDEN, "forbidden", detail.clone()).errors(&[fault])
}
