//! What those may do at most who have no limits of their own.

use auth::{BadRate, Limits, Rate};

/// How much somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bounds {
    /// What a device key may have of its own.
    pub limits: Limits,
    /// Commands on sockets.
    pub commands: Option<Rate>,
    /// Rows of history.
    pub rows: Option<Rate>,
}

/// The bounds of those whose credentials have none.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Defaults {
    /// Of each subject of a credential.
    pub subject: Bounds,
    /// Of each address from which requests come without one.
    pub address: Bounds,
}

impl Bounds {
    /// Of somebody with these limits, who has these bounds otherwise.
    pub(crate) fn with(self, own: Limits) -> Self {
        Self { limits: own.or(self.limits), ..self }
    }

    /// Whether requests or what they ask for are counted.
    pub(crate) fn has_rates(&self) -> bool {
        self.limits.requests.is_some() || self.limits.readings.is_some() || self.rows.is_some()
    }
}

/// The rate that a configuration has as a text; empty: none.
///
/// # Errors
/// When it is no rate.
pub fn rate(text: &str) -> Result<Option<Rate>, BadRate> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
}
