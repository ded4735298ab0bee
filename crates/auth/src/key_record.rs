//! A device key as it is stored.

use subtle::{Choice, ConstantTimeEq};

use crate::{key_id::KeyId, limits::Limits, scope::Scope, secret::SecretHash, unix_micros::UnixMicros};

/// All that is stored of a key and that decides what it may do.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyRecord {
    /// Its public part.
    pub id: KeyId,
    /// What people call it.
    pub name: String,
    /// What it may write.
    pub write: Scope,
    /// What it may read.
    pub read: Scope,
    /// How much.
    pub limits: Limits,
    /// From then on it may do nothing.
    pub expires_at: Option<UnixMicros>,
    /// It may do nothing any more.
    pub is_revoked: bool,
    /// Its secrets.
    pub secrets: Secrets,
}

/// The hashes of a key's secrets: one, or two while devices change from one to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Secrets {
    /// Of the secret that was made last.
    pub newest: SecretHash,
    /// Of the one before, while it is valid too.
    pub older: Option<SecretHash>,
}

impl Secrets {
    /// With one secret.
    pub const fn one(newest: SecretHash) -> Self {
        Self { newest, older: None }
    }

    /// Whether a secret is one of them, in a time that says neither which nor how many there are.
    pub(crate) fn hold(&self, hash: &SecretHash) -> Choice {
        let older = self.older.as_ref().unwrap_or(&self.newest);
        hash.ct_eq(&self.newest) | hash.ct_eq(older)
    }
}
