//! A secret of 256 random bits as text, and the hash that is kept of it.

use std::fmt;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Characters of 32 bytes as base64url without padding.
const LENGTH: usize = 43;

/// A secret as it is written: 43 characters of base64url.
#[derive(Clone)]
pub(crate) struct SecretText([u8; LENGTH]);

/// The text has another form. The error says nothing of it: it may be a secret that was mistyped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadSecret;

/// The SHA-256 of a secret as it is written (43 characters of base64url). The secret has 256 random bits: a slow hash, as for
/// passwords, would add nothing.
#[derive(Clone, Copy, Eq)]
pub struct SecretHash([u8; 32]);

/// The text is no hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 hexadecimal digits")]
pub struct BadHash;

impl SecretText {
    pub(crate) fn new(random: [u8; 32]) -> Self {
        let mut text = [0; LENGTH];
        let written = BASE64_URL_SAFE_NO_PAD.encode_slice(random, &mut text);
        debug_assert_eq!(written, Ok(LENGTH));
        Self(text)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, BadSecret> {
        let text: [u8; LENGTH] = text.as_bytes().try_into().map_err(|_| BadSecret)?;
        // decoded to be checked alone: its two last bits are unused, and must not make two texts of one secret
        let mut decoded = [0; LENGTH];
        BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut decoded).map_err(|_| BadSecret)?;
        Ok(Self(text))
    }

    pub(crate) fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.0).into())
    }

    /// The secret, to be shown to its owner once.
    pub(crate) fn expose(&self) -> &str {
        std::str::from_utf8(&self.0).expect("base64 is ASCII")
    }
}

impl SecretHash {
    /// From its bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    /// When the text has another form.
    pub fn parse(text: &str) -> Result<Self, BadHash> {
        let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| BadHash)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16));
            *byte =
                high.zip(low).and_then(|(high, low)| u8::try_from(high * 16 + low).ok()).ok_or(BadHash)?;
        }
        Ok(Self(bytes))
    }

    /// 64 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl ConstantTimeEq for SecretHash {
    fn ct_eq(&self, other: &Self) -> subtle::Choice {
        self.0.ct_eq(&other.0)
    }
}

impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

/// It could be searched for, so it belongs into no log.
impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}
