//! What a client presents to say who it is.

use std::fmt;

use crate::key_text::KeyText;

/// The longest token, in bytes.
pub const TOKEN_MAX_BYTES: usize = 8_192;

/// A credential by its form alone: whether it is valid is for others to say.
pub enum Credential<'a> {
    /// A device key.
    Key(KeyText),
    /// A compact JWS (RFC 7515), with a signature.
    Token(&'a str),
}

/// The text has the form of no credential. The error says nothing of it: it may be a secret that was mistyped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither a device key nor a token")]
pub struct BadCredential;

impl<'a> Credential<'a> {
    /// Reads the text of a header, a query or a frame.
    ///
    /// # Errors
    /// When it has another form, or is too long.
    pub fn parse(text: &'a str) -> Result<Self, BadCredential> {
        if text.len() > TOKEN_MAX_BYTES {
            return Err(BadCredential);
        }
        if is_compact_jws(text) {
            return Ok(Self::Token(text));
        }
        KeyText::parse(text).map(Self::Key).map_err(|_| BadCredential)
    }
}

/// Three parts of base64url, none of them empty.
fn is_compact_jws(text: &str) -> bool {
    let is_base64url = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    text.split('.').count() == 3 && text.split('.').all(is_base64url)
}

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "Key({key:?})"),
            Self::Token(_) => f.write_str("Token(…)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_tokens_are_told_apart_by_their_form() {
        let key = KeyText::new("0123456789ab".parse().unwrap(), [1; 32]).expose();
        assert!(matches!(Credential::parse(&key), Ok(Credential::Key(_))));
        assert!(matches!(Credential::parse("eyJ.e-_.c2"), Ok(Credential::Token("eyJ.e-_.c2"))));
        let longest = format!("a.{}.c", "b".repeat(TOKEN_MAX_BYTES - 4));
        assert!(matches!(Credential::parse(&longest), Ok(Credential::Token(_))));
        // a token without a signature is none
        for bad in [
            "",
            "a",
            "a.b",
            "a.b.",
            "a..c",
            ".b.c",
            "a.b.c.d",
            "a.b.c=",
            "a.b.c ",
            "a.b.ä",
            &format!("{longest}c"),
        ] {
            assert_eq!(Credential::parse(bad).err(), Some(BadCredential), "{bad}");
        }
    }

    #[test]
    fn what_is_printed_for_debugging_has_no_secret() {
        let key = KeyText::new("0123456789ab".parse().unwrap(), [1; 32]).expose();
        assert_eq!(format!("{:?}", Credential::parse(&key).unwrap()), "Key(rck_0123456789ab_…)");
        assert_eq!(format!("{:?}", Credential::parse("a.b.c").unwrap()), "Token(…)");
    }
}
