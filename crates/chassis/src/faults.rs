//! The list of all faults of a configuration.

use std::fmt;

/// Faults by key, in the order they were found; only the first fault of a key is reported.
#[derive(Debug, Default)]
pub struct Faults(Vec<(String, String)>);

impl Faults {
    /// `key` as in `store.pool_size`; `why` follows it: `must be 1 to 16`. Never put a secret's value in it.
    pub fn add(&mut self, key: impl Into<String>, why: impl Into<String>) {
        let key = key.into();
        if !self.0.iter().any(|(known, _)| *known == key) {
            self.0.push((key, why.into()));
        }
    }

    /// Whether no fault was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, why) in &self.0 {
            writeln!(f, "{key}: {why}")?;
        }
        Ok(())
    }
}
