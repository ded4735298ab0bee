//! The bodies of commands, read field by field.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{ErrorCode, Refusal, shortened};

/// The fields of a body by their names: serde would also take a list for them.
pub(super) fn read_body<T: DeserializeOwned>(body: Value) -> Result<T, Refusal> {
    if !body.is_object() {
        return Err(Refusal::new(ErrorCode::BadCommand, "the body of a command is an object"));
    }
    T::deserialize(body).map_err(bad_body)
}

fn bad_body(error: serde_json::Error) -> Refusal {
    Refusal::new(ErrorCode::BadCommand, shortened(&error.to_string()).into_owned())
}
