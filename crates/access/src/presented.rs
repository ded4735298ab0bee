//! The credential of a request's head: `Authorization` (RFC 9110 §11.6.2) or `X-API-Key`.

use auth::{Credential, KeyText};
use base64::prelude::{BASE64_STANDARD, Engine};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::denial::Denial;

/// Where clients put a key that cannot set `Authorization`.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The credential of a request, if it has one.
///
/// # Errors
/// When there are several, or one that cannot be read.
pub(crate) fn presented(headers: &HeaderMap) -> Result<Option<Credential<'_>>, Denial> {
    let mut authorization = headers.get_all(header::AUTHORIZATION).iter();
    let mut api_key = headers.get_all(API_KEY).iter();
    match (authorization.next(), api_key.next()) {
        _ if authorization.next().is_some() || api_key.next().is_some() => Err(Denial::Ambiguous),
        (Some(_), Some(_)) => Err(Denial::Ambiguous),
        (Some(value), None) => authorized(text(value)?).map(Some),
        (None, Some(value)) => credential(text(value)?).map(Some),
        (None, None) => Ok(None),
    }
}

/// Whether a request has a credential, whatever it is.
pub fn has_credential(headers: &HeaderMap) -> bool {
    headers.contains_key(header::AUTHORIZATION) || headers.contains_key(API_KEY)
}

/// A credential that stands for itself.
pub(crate) fn credential(text: &str) -> Result<Credential<'_>, Denial> {
    Credential::parse(text).map_err(|_| Denial::Malformed)
}

fn text(value: &HeaderValue) -> Result<&str, Denial> {
    value.to_str().map(str::trim).map_err(|_| Denial::Malformed)
}

/// `Bearer` and, as clients of InfluxDB have it, `Token`; or `Basic` with a key's id and secret, or with the whole key as
/// password.
fn authorized(value: &str) -> Result<Credential<'_>, Denial> {
    let (scheme, rest) = value.split_once(' ').ok_or(Denial::Malformed)?;
    let rest = rest.trim_start();
    if ["Bearer", "Token"].iter().any(|own| scheme.eq_ignore_ascii_case(own)) {
        credential(rest)
    } else if scheme.eq_ignore_ascii_case("Basic") {
        basic(rest).map(Credential::Key)
    } else {
        Err(Denial::Malformed)
    }
}

fn basic(encoded: &str) -> Result<KeyText, Denial> {
    let decoded = BASE64_STANDARD.decode(encoded).map_err(|_| Denial::Malformed)?;
    let decoded = String::from_utf8(decoded).map_err(|_| Denial::Malformed)?;
    let (user, password) = decoded.split_once(':').ok_or(Denial::Malformed)?;
    KeyText::from_parts(user, password).or_else(|_| KeyText::parse(password)).map_err(|_| Denial::Malformed)
}

#[cfg(test)]
mod tests {
    use auth::{KeyId, new_key};

    use super::*;

    fn key() -> (String, KeyId) {
        let (key, _) = new_key([7; 32], [1; 8]);
        (key.expose(), key.id())
    }

    fn read(fields: &[(&'static str, &str)]) -> Result<Option<KeyId>, Denial> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        presented(&headers).map(|credential| match credential {
            Some(Credential::Key(key)) => Some(key.id()),
            Some(Credential::Token(_)) | None => None,
        })
    }

    #[test]
    fn a_key_is_read_wherever_its_device_can_put_it() {
        let (key, id) = key();
        let secret = key.splitn(3, '_').nth(2).unwrap();
        let basic = |text: String| format!("Basic {}", BASE64_STANDARD.encode(text));
        for value in [
            format!("Bearer {key}"),
            format!("bearer  {key}"),
            format!("Token {key}"),
            basic(format!("{id}:{secret}")),
            basic(format!("anybody:{key}")),
        ] {
            assert_eq!(read(&[("authorization", &value)]), Ok(Some(id)), "{value}");
        }
        assert_eq!(read(&[("x-api-key", &key)]), Ok(Some(id)));
        assert_eq!(read(&[]), Ok(None));
    }

    #[test]
    fn two_credentials_and_unreadable_ones_are_refused() {
        let (key, _) = key();
        let bearer = format!("Bearer {key}");
        assert_eq!(read(&[("authorization", &bearer), ("x-api-key", &key)]), Err(Denial::Ambiguous));
        assert_eq!(read(&[("authorization", &bearer), ("authorization", &bearer)]), Err(Denial::Ambiguous));
        for value in ["", "Bearer", "Bearer x", "Digest a", "Basic ?", "Basic eA==", "Basic eDp5", &key] {
            assert_eq!(read(&[("authorization", value)]), Err(Denial::Malformed), "{value}");
        }
    }
}
