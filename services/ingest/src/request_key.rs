//! `Idempotency-Key`: a request that may be repeated until it is answered (draft-ietf-httpapi-idempotency-key-header).

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use store::readings::once::{Answer, RequestId, digest};
use wire::Reading;

use crate::{committer::not_stored::NotStored, writer::Writer};

/// The header of the key.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The header of an answer that was given before.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The most characters of a key.
const MAX_LENGTH: usize = 255;

/// Makes the answer of what became of each reading, in their order.
pub(crate) type Compose = Box<dyn Fn(&[Result<Reading, NotStored>]) -> Answer + Send + Sync>;

/// Whose key it is, the key, and the digest of the request.
pub(crate) type Identity = (RequestId, [u8; 32]);

/// The header is no key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadKey;

/// A request that is stored once.
pub(crate) struct RequestKey {
    /// Whose key it is, and the key.
    pub(crate) id: RequestId,
    /// What the request is: another one with the same key is refused.
    pub(crate) digest: [u8; 32],
    /// Readings that the table refuses keep no others out.
    pub(crate) is_partial: bool,
    /// Makes the answer that is kept.
    pub(crate) compose: Compose,
}

/// The key of a request, if it has one.
pub(crate) fn key_of(headers: &HeaderMap) -> Result<Option<String>, BadKey> {
    let mut values = headers.get_all(KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(BadKey);
    }
    let text = value.to_str().map_err(|_| BadKey)?.trim();
    let key = match text.strip_prefix('"') {
        Some(quoted) => unquoted(quoted).ok_or(BadKey)?,
        None => text.to_owned(),
    };
    let is_valid = (1..=MAX_LENGTH).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if is_valid { Ok(Some(key)) } else { Err(BadKey) }
}

/// A structured field's string (RFC 8941 §3.3.3) behind its first quote. Its parameters mean nothing here.
fn unquoted(text: &str) -> Option<String> {
    let (mut key, mut characters) = (String::new(), text.chars());
    loop {
        match characters.next()? {
            '"' => break,
            '\\' => key.push(characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            other => key.push(other),
        }
    }
    let rest = characters.as_str().trim_start();
    (rest.is_empty() || rest.starts_with(';')).then_some(key)
}

/// What the request with this key is.
pub(crate) fn identity(
    writer: &Writer,
    key: &str,
    (uri, headers, body): (&Uri, &HeaderMap, &[u8]),
) -> Identity {
    let content_type = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let path = uri.path().trim_end_matches('/');
    let parts = [path.as_bytes(), uri.query().unwrap_or_default().as_bytes(), content_type, body];
    (RequestId::new(&writer.scope, key), digest(parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[&str], expected: Result<Option<&str>, BadKey>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(KEY, value.parse().unwrap());
        }
        assert_eq!(key_of(&headers), expected.map(|key| key.map(str::to_owned)), "{values:?}");
    }

    #[test]
    fn a_key_is_a_string_of_a_structured_field_or_stands_alone() {
        check(&[], Ok(None));
        check(
            &[r#""8e03978e-40d5-43dd-bc93-6894a57f9324""#],
            Ok(Some("8e03978e-40d5-43dd-bc93-6894a57f9324")),
        );
        check(&[r#""a\"\\b";v=1"#], Ok(Some(r#"a"\b"#)));
        check(&["bare:token/7"], Ok(Some("bare:token/7")));
        check(&[&"k".repeat(255)], Ok(Some(&"k".repeat(255))));
        for bad in ["", "\"\"", "\"open", r#""a\n""#, "\"a\"b", "two words", "\"a b\"", &"k".repeat(256)] {
            check(&[bad], Err(BadKey));
        }
        check(&["a", "a"], Err(BadKey));
    }

    #[test]
    fn a_request_is_its_path_without_the_slash_its_query_its_type_and_its_body() {
        let writer = Writer::of(&http::Extensions::new());
        let of = |uri: &str, content_type: &str, body: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
            identity(&writer, "k", (&uri.parse().unwrap(), &headers, body.as_bytes()))
        };
        let first = of("/api/sensors/?partial=1", "application/json", "{}");
        assert_eq!(first, of("/api/sensors?partial=1", "application/json", "{}"));
        for other in [
            of("/api/sensors", "application/json", "{}"),
            of("/write?partial=1", "application/json", "{}"),
            of("/api/sensors?partial=1", "application/x-ndjson", "{}"),
            of("/api/sensors?partial=1", "application/json", "{ }"),
        ] {
            assert_eq!(other.0, first.0);
            assert_ne!(other.1, first.1);
        }
    }
}
