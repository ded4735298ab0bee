//! The public part of a device key.

use std::{fmt, str::FromStr};

/// Characters of an id.
const LENGTH: usize = 12;

/// Characters of ids made here: none is taken for another.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Which key: 12 characters of `[0-9a-z]`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; LENGTH]);

/// The text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key's id is {LENGTH} characters of 0-9 and a-z")]
pub struct BadKeyId;

impl KeyId {
    /// Of 60 of these bits.
    pub fn from_random(random: [u8; 8]) -> Self {
        let bits = u64::from_le_bytes(random);
        Self(std::array::from_fn(|place| ALPHABET[(bits >> (5 * place) & 31) as usize]))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("an id is ASCII")
    }
}

impl FromStr for KeyId {
    type Err = BadKeyId;

    fn from_str(text: &str) -> Result<Self, BadKeyId> {
        let bytes: [u8; LENGTH] = text.as_bytes().try_into().map_err(|_| BadKeyId)?;
        let is_valid = bytes.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
        is_valid.then_some(Self(bytes)).ok_or(BadKeyId)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_twelve_small_letters_and_digits() {
        assert_eq!("0123456789az".parse::<KeyId>().unwrap().to_string(), "0123456789az");
        for bad in ["", "0123456789a", "0123456789abc", "0123456789aZ", "0123456789a_", "0123456789ä"] {
            assert_eq!(bad.parse::<KeyId>(), Err(BadKeyId), "{bad}");
        }
        for random in [[0; 8], [0xff; 8], [1, 2, 3, 4, 5, 6, 7, 8]] {
            let id = KeyId::from_random(random);
            assert_eq!(id.as_str().parse(), Ok(id));
        }
        assert_ne!(KeyId::from_random([0; 8]), KeyId::from_random([0, 0, 0, 0, 0, 0, 0, 8]));
    }
}
