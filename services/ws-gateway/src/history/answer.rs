//! An answer: its rows in one media type, its ETag, and the link to its next page.

use std::fmt::Write;

use access::Caller;
use axum::response::{IntoResponse, Response};
use chassis::{Prefix, Problem};
use headers::{CacheControl, HeaderMapExt, IfNoneMatch};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use sha2::{Digest, Sha256};
use wire::Position;

use super::media::{Media, Row};

/// Which position the answer is as of.
const POSITION: HeaderName = HeaderName::from_static("rowcast-position");

/// An answer that is not a refusal.
pub(crate) struct Answer {
    content_type: &'static str,
    body: Vec<u8>,
    etag: ETag,
    link: Option<String>,
    position: Option<Position>,
}

impl Answer {
    /// Rows in a media type. `next` is the cursor of the page that follows.
    pub(crate) fn rows<T: Row>(
        media: Media,
        rows: &[T],
        next: Option<&str>,
        position: Option<Position>,
        request: (&Prefix, &Uri),
    ) -> Self {
        let mut body = Vec::with_capacity(64 + rows.len() * 200);
        match media {
            Media::Json => write_json(&mut body, rows, next, position),
            Media::Csv => {
                body.extend_from_slice(T::COLUMNS.as_bytes());
                body.extend_from_slice(b"\r\n");
                for row in rows {
                    row.write_csv(&mut body);
                    body.extend_from_slice(b"\r\n");
                }
            }
            Media::Lines => {
                for row in rows {
                    row.write_json(&mut body);
                    body.push(b'\n');
                }
            }
        }
        let link = next.map(|cursor| link(request, cursor));
        let etag = ETag::of(&[&body, link.as_deref().unwrap_or_default().as_bytes()]);
        Self { content_type: media.content_type(), body, etag, link, position }
    }

    /// A whole document of JSON.
    pub(crate) fn json(body: Vec<u8>) -> Self {
        let etag = ETag::of(&[&body]);
        Self { content_type: Media::Json.content_type(), body, etag, link: None, position: None }
    }

    /// With an ETag that was known before the body.
    pub(crate) fn with_etag(self, etag: ETag) -> Self {
        Self { etag, ..self }
    }

    /// What the client has already.
    pub(crate) fn unchanged(etag: ETag) -> Self {
        Self { content_type: "", body: Vec::new(), etag, link: None, position: None }
    }

    fn into_response(self, headers: &HeaderMap) -> Response {
        let known = self.etag.is_known_to(headers);
        let mut response = if known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            ([(header::CONTENT_TYPE, self.content_type)], self.body).into_response()
        };
        let own = response.headers_mut();
        let mut insert = |name, value: Option<String>| {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                own.insert(name, value);
            }
        };
        insert(header::LINK, self.link);
        insert(POSITION, self.position.map(|position| position.to_string()));
        own.typed_insert(self.etag.0);
        own.typed_insert(CacheControl::new().with_no_cache());
        response
    }
}

/// The response to a request whose answer is `read`.
pub(crate) async fn reply(
    headers: &HeaderMap,
    caller: Option<&Caller>,
    read: impl Future<Output = Result<Answer, Problem>>,
) -> Response {
    let mut response = match read.await {
        Ok(answer) => answer.into_response(headers),
        Err(problem) => refusal(problem),
    };
    let fields = if caller.is_none_or(Caller::is_anonymous) {
        "accept, origin"
    } else {
        // what a credential of its own may see is for no shared cache, whatever field it came in
        let private = HeaderValue::from_static("private, no-cache");
        response.headers_mut().insert(header::CACHE_CONTROL, private);
        "accept, authorization, origin, x-api-key"
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static(fields));
    response
}

fn refusal(problem: Problem) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], problem).into_response()
}

fn write_json<T: Row>(body: &mut Vec<u8>, rows: &[T], next: Option<&str>, position: Option<Position>) {
    body.push(b'{');
    if let Some(position) = position {
        body.extend_from_slice(format!(r#""pos":"{position}","#).as_bytes());
    }
    body.extend_from_slice(format!(r#""{}":["#, T::LIST).as_bytes());
    for (n, row) in rows.iter().enumerate() {
        if n > 0 {
            body.push(b',');
        }
        row.write_json(body);
    }
    let next = next.map_or_else(|| "null".to_owned(), |cursor| format!("\"{cursor}\""));
    body.extend_from_slice(format!(r#"],"next":{next}}}"#).as_bytes());
}

/// The same query behind a cursor (RFC 8288), at the path that clients use.
fn link((prefix, uri): (&Prefix, &Uri), cursor: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let given = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    query.extend_pairs(given.filter(|(name, _)| name != "cursor"));
    query.append_pair("cursor", cursor);
    format!(r#"<{prefix}{}?{}>; rel="next""#, uri.path(), query.finish())
}

/// Identifies the bytes of an answer (RFC 9110 §8.8.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ETag(headers::ETag);

impl ETag {
    /// A hash of the parts, each with its length.
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut quoted = String::from("\"");
        for byte in hasher.finalize().iter().take(16) {
            let _ = write!(quoted, "{byte:02x}");
        }
        quoted.push('"');
        Self(quoted.parse().expect("quoted hexadecimal digits are an ETag"))
    }

    /// Whether the client has an answer with this ETag (RFC 9110 §13.1.2).
    pub(crate) fn is_known_to(&self, request: &HeaderMap) -> bool {
        request.typed_get::<IfNoneMatch>().is_some_and(|known| !known.precondition_passes(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_among_others_weak_or_strong() {
        let etag = ETag(r#""a""#.parse().unwrap());
        for (given, known) in [
            (r#""a""#, true),
            (r#"W/"a""#, true),
            (r#""b", "a""#, true),
            ("*", true),
            (r#""b""#, false),
            ("a", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, given.parse().unwrap());
            assert_eq!(etag.is_known_to(&headers), known, "{given}");
        }
        assert!(!etag.is_known_to(&HeaderMap::new()));
        assert_ne!(ETag::of(&[b"ab", b"c"]), ETag::of(&[b"a", b"bc"]));
    }

    #[test]
    fn the_next_page_is_the_same_query_behind_a_cursor() {
        let uri = "/api/readings?sensor=a%20b,c*&cursor=old&limit=2".parse().unwrap();
        assert_eq!(
            link((&Prefix::default(), &uri), "new"),
            r#"</api/readings?sensor=a+b%2Cc*&limit=2&cursor=new>; rel="next""#
        );
        let below = (&Prefix::from("/rowcast"), &"/x".parse().unwrap());
        assert_eq!(link(below, "c"), r#"</rowcast/x?cursor=c>; rel="next""#);
    }
}
