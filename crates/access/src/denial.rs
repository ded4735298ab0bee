//! Why somebody is not let in.

use auth::Denied;
use chassis::Problem;
use http::{StatusCode, header};

/// Why somebody is not let in. What it says helps only those who have the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// There is no credential, and it needs one.
    #[error("this needs a device key or a token")]
    Missing,
    /// There are several, or one that cannot be read.
    #[error("one credential is expected: Authorization (Bearer, Token or Basic) or X-API-Key")]
    Ambiguous,
    /// Neither a key nor a token.
    #[error("the credential is neither a device key nor a token")]
    Malformed,
    /// A device key grants nothing.
    #[error("{0}")]
    Key(#[from] Denied),
    /// No issuer that is known has signed this token, or not for this service.
    #[error("the token is not valid here")]
    Foreign,
    /// A token's time is over.
    #[error("the token has expired")]
    Expired,
    /// A token's time has not come.
    #[error("the token is not valid yet")]
    Early,
    /// A token was revoked.
    #[error("the token was revoked")]
    Revoked,
    /// A token whose claims cannot be used.
    #[error("the token's claims cannot be used")]
    Claims,
    /// A ticket is unknown, was used, or has expired.
    #[error("the ticket is unknown, was used, or has expired")]
    Ticket,
    /// It may not read anything.
    #[error("this credential may not read")]
    MayNotRead,
    /// It may not write anything.
    #[error("this credential may not write")]
    MayNotWrite,
    /// More than a rate allows; the same is admitted after so many seconds, if nothing else is until then.
    #[error("more than the rate allows")]
    TooMany(u32),
    /// More than a rate ever allows at once.
    #[error("more at once than the rate ever allows")]
    TooManyAtOnce,
}

/// What a client without a valid credential is asked for (RFC 6750 §3).
const CHALLENGE: &str = r#"Bearer realm="rowcast""#;
const INVALID: &str = r#"Bearer realm="rowcast", error="invalid_token""#;

impl Denial {
    /// Whether another credential, or a fresh one, may help.
    pub fn is_unauthenticated(self) -> bool {
        !matches!(
            self,
            Self::MayNotRead | Self::MayNotWrite | Self::Ambiguous | Self::TooMany(_) | Self::TooManyAtOnce
        )
    }
}

impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        let problem = |status, code| Self::new(status, code, denial.to_string());
        let challenge = header::WWW_AUTHENTICATE;
        match denial {
            Denial::Missing => {
                problem(StatusCode::UNAUTHORIZED, "unauthenticated").header(challenge, CHALLENGE)
            }
            Denial::Ambiguous => problem(StatusCode::BAD_REQUEST, "bad-credential"),
            Denial::MayNotRead | Denial::MayNotWrite => problem(StatusCode::FORBIDDEN, "forbidden"),
            Denial::TooMany(seconds) => {
                problem(StatusCode::TOO_MANY_REQUESTS, "too-many-requests").retry_after(seconds)
            }
            Denial::TooManyAtOnce => problem(StatusCode::PAYLOAD_TOO_LARGE, "too-many-at-once"),
            Denial::Malformed
            | Denial::Key(_)
            | Denial::Foreign
            | Denial::Expired
            | Denial::Early
            | Denial::Revoked
            | Denial::Claims
            | Denial::Ticket => {
                problem(StatusCode::UNAUTHORIZED, "unauthenticated").header(challenge, INVALID)
            }
        }
    }
}
