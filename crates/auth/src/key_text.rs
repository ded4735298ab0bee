//! A device key with its secret.

use std::fmt;

use crate::{
    key_id::KeyId,
    secret::{SecretHash, SecretText},
};

/// What every key begins with, so that one in a log or a repository can be found.
const PREFIX: &str = "rck_";

/// A key as its device has it: `rck_<id>_<secret>`. The secret is shown by [`KeyText::expose`] alone.
#[derive(Clone)]
pub struct KeyText {
    id: KeyId,
    secret: SecretText,
}

/// The text is no key. The error says nothing of it: it may be a secret that was mistyped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no device key")]
pub struct BadKey;

/// A new key, of 256 random bits and 64 for its id, with the hash that is kept.
pub fn new_key(random: [u8; 32], id_random: [u8; 8]) -> (KeyText, SecretHash) {
    let key = KeyText::new(KeyId::from_random(id_random), random);
    let hash = key.hash();
    (key, hash)
}

impl KeyText {
    /// A key with a new secret, of 256 random bits.
    pub fn new(id: KeyId, random: [u8; 32]) -> Self {
        Self { id, secret: SecretText::new(random) }
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
        Ok(Self { id, secret: SecretText::parse(secret).map_err(|_| BadKey)? })
    }

    /// Whose it is.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The hash of its secret.
    pub fn hash(&self) -> SecretHash {
        self.secret.hash()
    }

    /// The whole key with its secret, to be shown to its owner once.
    pub fn expose(&self) -> String {
        format!("{PREFIX}{}_{}", self.id, self.secret.expose())
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}_…", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::BadHash;

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
