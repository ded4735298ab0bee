//! Why forwarding was interrupted.

use std::time::Duration;

/// Why a step could not be done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Bus(#[from] bus::Error),
    #[error(
        "another installation writes {key}: this database is a physical copy and needs its own Redis or redis.prefix"
    )]
    Copy { key: String },
    #[error("no answer within {0:?}")]
    Silent(Duration),
    #[error("another leader is active while the Lease cannot be read")]
    Rival,
}
