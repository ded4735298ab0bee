//! By whom what is counted was done.

use std::net::IpAddr;

use auth::{KeyId, Subject};
use store::readings::once::digest;

/// So many bytes tell subjects apart.
const BYTES: usize = 16;

/// Who pays for what is counted. It is small, however long the name of a subject is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Payer {
    /// A device key.
    Key(KeyId),
    /// The subject of a token, by the beginning of a digest of its names.
    Viewer([u8; BYTES]),
    /// Somebody without a credential, by an address; none: it is not known.
    Address(Option<IpAddr>),
}

impl Payer {
    /// For this subject; `address` is that of somebody without a credential.
    pub(crate) fn of(subject: &Subject, address: Option<IpAddr>) -> Self {
        match subject {
            Subject::Anonymous => Self::Address(address),
            Subject::Key(id) => Self::Key(*id),
            Subject::Viewer { issuer, subject } => {
                let names = digest([issuer.as_bytes(), subject.as_bytes()]);
                Self::Viewer(names.first_chunk().copied().unwrap_or_default())
            }
        }
    }
}
