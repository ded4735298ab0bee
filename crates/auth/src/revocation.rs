//! A token that is refused before it expires.

use crate::unix_micros::UnixMicros;

/// Tokens that are refused, until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Their `iss`.
    pub issuer: String,
    /// Which of the issuer's.
    pub of: Revoked,
    /// From then on they are not refused by this any more: they have expired, or the revocation was taken back.
    pub until: UnixMicros,
}

/// Which tokens of an issuer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Revoked {
    /// The one with this `jti`.
    Token(String),
    /// All with this `sub`.
    Subject(String),
}
