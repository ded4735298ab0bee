//! A set of public keys (RFC 7517), of which those are taken that can verify tokens here.

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

/// The largest set, in bytes.
pub(crate) const MAX_BYTES: usize = 256 << 10;

/// The most keys that are taken of one set.
const MAX_KEYS: usize = 64;

/// A key with the one algorithm that it is for.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// Its name.
    pub(crate) kid: Option<String>,
    /// Its algorithm, whatever a token says.
    pub(crate) algorithm: Algorithm,
    /// The key.
    pub(crate) key: DecodingKey,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// Reads a set. Keys of other kinds and for other uses are left out.
pub(crate) fn parse(json: &[u8], algorithms: &[Algorithm]) -> Result<Vec<Key>, String> {
    let Set { keys } = serde_json::from_slice(json).map_err(|_| "it is no JSON Web Key Set".to_owned())?;
    let usable = keys.into_iter().filter_map(|key| usable(key, algorithms));
    let keys: Vec<Key> = usable.take(MAX_KEYS).collect();
    if keys.is_empty() {
        return Err("it has no key that can be used".to_owned());
    }
    Ok(keys)
}

fn usable(json: Value, algorithms: &[Algorithm]) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(json).ok()?;
    let signs = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let operations = jwk.common.key_operations.as_ref();
    let verifies = operations.is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        // a secret has no place in a set of public keys
        _ => return None,
    };
    let is_for_it = jwk.common.key_algorithm.is_none_or(|named| fits(named, algorithm));
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    (signs && verifies && is_for_it && algorithms.contains(&algorithm)).then_some(Key {
        kid: jwk.common.key_id,
        algorithm,
        key,
    })
}

const fn fits(named: KeyAlgorithm, algorithm: Algorithm) -> bool {
    matches!(
        (named, algorithm),
        (KeyAlgorithm::RS256, Algorithm::RS256)
            | (KeyAlgorithm::ES256, Algorithm::ES256)
            | (KeyAlgorithm::EdDSA, Algorithm::EdDSA)
    )
}
