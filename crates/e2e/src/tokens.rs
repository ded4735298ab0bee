//! Issuers of tokens, and tokens of every kind that somebody may try.

use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};

/// The audience of the tokens.
pub const AUDIENCE: &str = "rowcast";

/// The bytes before the RSA key in a PKCS #8 document of 2048 bits (RFC 5208): its header.
const PKCS8_RSA_HEADER: usize = 26;

/// What stands before an Ed25519 key without its public half (RFC 8410 §7), as the library expects it.
const ED25519_HEADER: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

/// An issuer with one key.
pub struct Issuer {
    /// Its `iss`.
    pub name: String,
    /// The name of its key.
    pub kid: String,
    /// The key's algorithm.
    pub algorithm: Algorithm,
    /// The key.
    pub key: EncodingKey,
}

impl Issuer {
    /// An issuer with a new key.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new(name: &str, kid: &str, algorithm: Algorithm) -> Result<Self> {
        let key = match algorithm {
            Algorithm::RS256 => {
                let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
                EncodingKey::from_rsa_der(&pair.serialize_der()[PKCS8_RSA_HEADER..])
            }
            Algorithm::EdDSA => {
                let pair = KeyPair::generate_for(&PKCS_ED25519)?.serialize_der();
                EncodingKey::from_ed_der(&[ED25519_HEADER, &pair[16..48]].concat())
            }
            _ => EncodingKey::from_ec_der(&KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?.serialize_der()),
        };
        Ok(Self { name: name.to_owned(), kid: kid.to_owned(), algorithm, key })
    }

    /// Its public key.
    ///
    /// # Errors
    /// When the key has none.
    pub fn jwk(&self) -> Result<Value> {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm)?;
        jwk.common.key_id = Some(self.kid.clone());
        Ok(serde_json::to_value(jwk)?)
    }

    /// Claims of a token for this subject that may read these, for an hour.
    pub fn claims(&self, subject: &str, read: &[&str]) -> Value {
        json!({ "iss": self.name, "aud": AUDIENCE, "sub": subject, "exp": now() + 3_600, "rowcast_read": read })
    }

    /// A token with these claims.
    pub fn token(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(self.algorithm) };
        encode(&header, claims, &self.key).expect("the key signs")
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Writes the file of issuers, each with its keys in a file beside it.
///
/// # Errors
/// When the files cannot be written.
pub fn write_issuers(folder: &Path, issuers: &[&[&Issuer]]) -> Result<PathBuf> {
    let mut listed = String::new();
    for (number, keys) in issuers.iter().enumerate() {
        let path = folder.join(format!("{number}.jwks.json"));
        let set = keys.iter().map(|issuer| issuer.jwk()).collect::<Result<Vec<_>>>()?;
        std::fs::write(&path, json!({ "keys": set }).to_string())?;
        let name = keys.first().map_or("", |issuer| issuer.name.as_str());
        listed.push_str(&format!(
            "[[issuer]]\nissuer = {name:?}\naudience = [{AUDIENCE:?}]\njwks_file = {path:?}\nleeway = \"0s\"\n"
        ));
    }
    let file = folder.join("issuers.toml");
    std::fs::write(&file, listed)?;
    Ok(file)
}
