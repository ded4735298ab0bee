//! The kinds of pooler between a service and the database.

use schemars::JsonSchema;
use serde::Deserialize;

/// The pooler between a service and the database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pooler {
    /// Nothing.
    #[default]
    None,
    /// A pooler that keeps a session for each of its clients, which need not know of it.
    Session,
    /// A pooler that assigns a session for each transaction, as PgBouncer does with `pool_mode = transaction`.
    Transaction,
}
