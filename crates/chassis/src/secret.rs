//! A configuration value that is never printed.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// A password, key or URL with a password in it; `Debug` shows `[redacted]` and the memory is wiped on drop.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(SecretString);

impl Secret {
    /// The value itself: hand it straight to the driver that needs it, never to a log.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value.into())
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self(value.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_a_struct_does_not_show_its_secret() {
        #[derive(Debug)]
        #[expect(dead_code, reason = "read by Debug only")]
        struct Store {
            url: Secret,
        }
        let store = Store { url: Secret::from("postgres://app:hunter2@db/app") };
        assert_eq!(format!("{store:?}"), "Store { url: [redacted] }");
    }
}
