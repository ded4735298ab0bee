//! Why a key could not be changed.

use auth::KeyId;

use crate::error::Error;

/// Why a key could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is none with this id.
    #[error("there is no key {0}")]
    Unknown(KeyId),
    /// It was revoked, for good.
    #[error("the key {0} was revoked")]
    Revoked(KeyId),
    /// Another key has this id.
    #[error("there is a key {0} already")]
    Taken(KeyId),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] Error),
}
