//! Who needs which credentials.

use std::path::PathBuf;

use auth::Scope;
use chassis::Faults;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::issuers;

/// Who needs which credentials.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// Whether clients need credentials. If not, everybody may write and read everything.
    pub enabled: bool,
    /// The sensors (`a`, `acme/*`, `*`) that may be read without a credential.
    pub anonymous_read: Vec<String>,
    /// The sensors that may be written without a credential.
    pub anonymous_write: Vec<String>,
    /// The TOML file that lists the issuers of tokens; empty: no token is valid.
    pub issuers_file: PathBuf,
}

impl AuthConfig {
    /// Notes what is wrong with it.
    pub fn validate(&self, faults: &mut Faults) {
        for (key, patterns) in
            [("auth.anonymous_read", &self.anonymous_read), ("auth.anonymous_write", &self.anonymous_write)]
        {
            if let Err(error) = Scope::parse(patterns) {
                faults.add(key, error.to_string());
            } else if !self.enabled && !patterns.is_empty() {
                faults.add(key, "means nothing unless auth.enabled is true");
            }
        }
        if !self.issuers_file.as_os_str().is_empty()
            && let Err(error) = issuers::file::read(&self.issuers_file)
        {
            faults.add("auth.issuers_file", error);
        }
    }
}
