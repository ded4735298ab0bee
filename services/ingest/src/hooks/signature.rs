//! A sender's signature: an HMAC of the body as it came.

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName};
use schemars::JsonSchema;
use serde::Deserialize;
use sha1::Sha1;
use sha2::Sha256;

/// The hash of the HMAC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Algorithm {
    #[default]
    Sha256,
    /// For senders that have nothing else; as an HMAC it is not broken.
    Sha1,
}

/// How the signature is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Encoding {
    #[default]
    Hex,
    /// The standard alphabet, with padding.
    Base64,
}

/// How a signature is checked. It has no `Debug`: the key is secret.
pub(crate) struct Signature {
    header: HeaderName,
    /// What stands before it, such as `sha256=`.
    prefix: String,
    encoding: Encoding,
    keyed: Keyed,
}

/// An HMAC that has its key.
enum Keyed {
    Sha256(Hmac<Sha256>),
    Sha1(Hmac<Sha1>),
}

impl Signature {
    pub(super) fn new(
        header: HeaderName,
        prefix: String,
        encoding: Encoding,
        (algorithm, secret): (Algorithm, &[u8]),
    ) -> Self {
        const ANY: &str = "an HMAC takes keys of any length";
        let keyed = match algorithm {
            Algorithm::Sha256 => Keyed::Sha256(Hmac::new_from_slice(secret).expect(ANY)),
            Algorithm::Sha1 => Keyed::Sha1(Hmac::new_from_slice(secret).expect(ANY)),
        };
        Self { header, prefix, encoding, keyed }
    }

    /// Where it stands.
    pub(crate) const fn header(&self) -> &HeaderName {
        &self.header
    }

    /// Whether there is one signature, and it is that of this body. It is compared in constant time.
    pub(crate) fn holds(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let mut given = headers.get_all(&self.header).iter();
        let (Some(given), None) = (given.next(), given.next()) else { return false };
        let Some(given) = given.to_str().ok().and_then(|text| text.strip_prefix(&self.prefix)) else {
            return false;
        };
        let Some(given) = self.encoding.decode(given) else { return false };
        match &self.keyed {
            Keyed::Sha256(keyed) => keyed.clone().chain_update(body).verify_slice(&given).is_ok(),
            Keyed::Sha1(keyed) => keyed.clone().chain_update(body).verify_slice(&given).is_ok(),
        }
    }
}

impl Encoding {
    fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Base64 => BASE64_STANDARD.decode(text).ok(),
            Self::Hex => {
                let digit =
                    |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
                pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const HEADER: HeaderName = HeaderName::from_static("x-signature");

    /// That of RFC 4231 §4.3 and RFC 2202 §3, test case 2.
    const KEY: &[u8] = b"Jefe";
    const BODY: &[u8] = b"what do ya want for nothing?";
    const SHA256: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    const SHA1: &str = "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79";
    const SHA256_BASE64: &str = "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=";

    #[track_caller]
    fn check(signature: &Signature, given: &[&str], body: &[u8], holds: bool) {
        let mut headers = HeaderMap::new();
        for text in given {
            headers.append(HEADER, HeaderValue::from_str(text).unwrap());
        }
        assert_eq!(signature.holds(&headers, body), holds, "{given:?}");
    }

    fn signature(prefix: &str, encoding: Encoding, algorithm: Algorithm) -> Signature {
        Signature::new(HEADER, prefix.to_owned(), encoding, (algorithm, KEY))
    }

    #[test]
    fn the_signatures_of_the_rfcs_hold_and_no_others() {
        let hex = signature("", Encoding::Hex, Algorithm::Sha256);
        check(&hex, &[SHA256], BODY, true);
        check(&hex, &[&SHA256.to_uppercase()], BODY, true);
        check(&signature("", Encoding::Hex, Algorithm::Sha1), &[SHA1], BODY, true);
        check(&signature("", Encoding::Base64, Algorithm::Sha256), &[SHA256_BASE64], BODY, true);
        check(&hex, &[SHA256], b"what do ya want for nothing!", false);
        let other = SHA256.replace("5b", "5c");
        for given in [SHA1, &SHA256[..62], &SHA256[..63], "", "zz", SHA256_BASE64, &other] {
            check(&hex, &[given], BODY, false);
        }
    }

    #[test]
    fn the_prefix_must_stand_before_it() {
        let prefixed = signature("sha256=", Encoding::Hex, Algorithm::Sha256);
        check(&prefixed, &[&format!("sha256={SHA256}")], BODY, true);
        check(&prefixed, &[SHA256], BODY, false);
    }

    #[test]
    fn none_and_two_are_refused() {
        let hex = signature("", Encoding::Hex, Algorithm::Sha256);
        check(&hex, &[], BODY, false);
        check(&hex, &[SHA256, SHA256], BODY, false);
    }
}
