//! Objects that are put together from several parts.

use serde_json::{Map, Value};

/// An object of these members.
pub(crate) fn members(parts: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    Value::Object(parts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}
