//! A body without fields.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `{}`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Empty {}
