//! What may stand between a service and the database.

use schemars::JsonSchema;
use serde::Deserialize;

/// What stands between a service and the database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pooler {
    /// Nothing.
    #[default]
    None,
    /// A pooler that keeps a session for each of its clients: to them it is as if it were not there.
    Session,
    /// A pooler that lends a session for each transaction, as PgBouncer does with `pool_mode = transaction`.
    Transaction,
}
