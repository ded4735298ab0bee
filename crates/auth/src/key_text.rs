//! A device key with its secret, and the hash that is kept of it.

use std::fmt;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::key_id::KeyId;

/// What every key begins with, so that one in a log or a repository can be found.
const PREFIX: &str = "rck_";

/// Characters of 32 bytes as base64url without padding.
const SECRET_LENGTH: usize = 43;

/// A key as its device has it: `rck_<id>_<secret>`. The secret is shown by [`KeyText::expose`] alone.
#[derive(Clone)]
pub struct KeyText {
    id: KeyId,
    /// As it is written.
    secret: [u8; SECRET_LENGTH],
}

/// The text is no key. The error says nothing of it: it may be a secret that was mistyped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no device key")]
pub struct BadKey;

/// The SHA-256 of a secret as it is written in the key (43 characters of base64url). The secret has 256 random bits: a slow
/// hash, as for passwords, would add nothing.
#[derive(Clone, Copy, Eq)]
pub struct SecretHash([u8; 32]);

/// The text is no hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 hexadecimal digits")]
pub struct BadHash;

/// A new key, of 256 random bits and 64 for its id, with the hash that is kept.
pub fn new_key(random: [u8; 32], id_random: [u8; 8]) -> (KeyText, SecretHash) {
    let key = KeyText::new(KeyId::from_random(id_random), random);
    let hash = key.hash();
    (key, hash)
}

impl KeyText {
    /// A key with a new secret, of 256 random bits.
    pub fn new(id: KeyId, random: [u8; 32]) -> Self {
        let mut secret = [0; SECRET_LENGTH];
        let written = BASE64_URL_SAFE_NO_PAD.encode_slice(random, &mut secret);
        debug_assert_eq!(written, Ok(SECRET_LENGTH));
        Self { id, secret }
    }

    /// Reads `rck_<id>_<secret>`.
    ///
    /// # Errors
    /// When the text has another form.
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        let (id, secret) = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).ok_or(BadKey)?;
        Self::from_parts(id, secret)
    }

    /// From an id and a secret that came apart, as user and password do.
    ///
    /// # Errors
    /// When one of them has another form.
    pub fn from_parts(id: &str, secret: &str) -> Result<Self, BadKey> {
        let id = id.parse().map_err(|_| BadKey)?;
        let text: [u8; SECRET_LENGTH] = secret.as_bytes().try_into().map_err(|_| BadKey)?;
        // decoded to be checked alone: its two last bits are unused, and must not make two texts of one secret
        let mut decoded = [0; SECRET_LENGTH];
        BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut decoded).map_err(|_| BadKey)?;
        Ok(Self { id, secret: text })
    }

    /// Whose it is.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The hash of its secret.
    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.secret).into())
    }

    /// The whole key with its secret, to be shown to its owner once.
    pub fn expose(&self) -> String {
        let secret = std::str::from_utf8(&self.secret).expect("base64 is ASCII");
        format!("{PREFIX}{}_{secret}", self.id)
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}_…", self.id)
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

#[cfg(test)]
mod tests {
    use super::*;

    const RANDOM: [u8; 32] = *b"0123456789abcdefghijklmnopqrstuv";

    #[test]
    fn a_new_key_is_read_back_and_hashed_as_anyone_can_hash_it() {
        let (key, hash) = new_key(RANDOM, [7; 8]);
        let text = key.expose();
        assert_eq!(text, "rck_7r1eg3w07r1e_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY");
        let read = KeyText::parse(&text).unwrap();
        assert_eq!((read.id(), read.hash()), (key.id(), hash));
        // printf %s MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY | sha256sum
        assert_eq!(hash.to_hex(), "06596c158e2895cca29034eb57f161cacbfdcbe8891f817fffb3888dbd57ae5d");
        assert_eq!(SecretHash::parse(&hash.to_hex().to_uppercase()), Ok(hash));
    }

    #[test]
    fn other_forms_are_no_keys_and_no_hashes() {
        let key = KeyText::new("0123456789ab".parse().unwrap(), RANDOM).expose();
        let secret = key.strip_prefix("rck_0123456789ab_").unwrap();
        for bad in [
            "".to_owned(),
            "rck_".to_owned(),
            format!("RCK_0123456789ab_{secret}"),
            format!("rck_0123456789aB_{secret}"),
            format!("rck_0123456789ab_{secret}="),
            format!("rck_0123456789ab_{}", &secret[1..]),
            // the same bits, with one of the unused ones set
            format!("rck_0123456789ab_{}Z", &secret[..42]),
            format!("rck_0123456789ab_{}+", &secret[..42]),
            format!("rck_0123456789ab_{}ä", &secret[..41]),
        ] {
            assert!(KeyText::parse(&bad).is_err(), "{bad}");
        }
        for bad in ["", "0", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"ä".repeat(32)] {
            assert_eq!(SecretHash::parse(bad), Err(BadHash), "{bad}");
        }
    }

    #[test]
    fn neither_secrets_nor_hashes_are_in_what_is_printed_for_debugging() {
        let (key, hash) = new_key(RANDOM, [7; 8]);
        assert_eq!(format!("{key:?} {hash:?}"), "rck_7r1eg3w07r1e_… SecretHash(…)");
    }
}
