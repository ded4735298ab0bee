//! The algorithms that are supported at all (RFC 7518 §3.1, RFC 8037 §3.1).

use jsonwebtoken::Algorithm;

/// All of them; `none` is not among them, and cannot be.
pub(crate) const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA, Algorithm::HS256];
