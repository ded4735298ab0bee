//! History over HTTP: a query is checked, read within bounds of its own, and answered in the format that the client accepts.

pub(crate) mod answer;
pub(crate) mod cursor;
pub(crate) mod latest;
pub(crate) mod media;
pub(crate) mod query;
pub(crate) mod readings;
mod refusal;
pub(crate) mod sensor;
