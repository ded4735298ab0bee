//! Why a request is refused: each reason with its text, its status and its stable code.

use chassis::Problem;
use http::{Method, StatusCode, header};

use crate::{
    committer::not_stored::NotStored,
    encoding,
    limits::{ARRAY_BYTES, MAX_LINE_READINGS, MAX_READINGS, OBJECT_BYTES, SPREAD_BYTES},
    request_key::BadKey,
};

/// When to come back after a refusal that is not the client's fault, in seconds.
const RETRY_AFTER: u32 = 1;

/// Something wrong with the body, and where, as a JSON pointer (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Fault {
    /// Empty for the body as a whole.
    pub(crate) pointer: String,
    /// A sentence.
    pub(crate) detail: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = self.pointer.trim_start_matches('/');
        if place.is_empty() { f.write_str(&self.detail) } else { write!(f, "{place}: {}", self.detail) }
    }
}

/// Why a body is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Not JSON, or not the JSON of readings; nothing of it is stored.
    Malformed(Vec<Fault>),
    /// One reading with more than [`OBJECT_BYTES`].
    TooLong,
    /// More than [`MAX_READINGS`] readings.
    TooMany,
}

impl Refused {
    /// For a fault of the body as a whole.
    pub(crate) fn whole(detail: impl Into<String>) -> Self {
        Self::Malformed(vec![Fault { pointer: String::new(), detail: detail.into() }])
    }
}

fn too_large(detail: String) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
}

/// The request may be repeated as it is.
fn try_again(code: &'static str, detail: String) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(RETRY_AFTER)
}

pub(crate) fn refused(refused: Refused) -> Problem {
    match refused {
        Refused::Malformed(faults) => {
            let first = faults.first().map_or_else(String::new, Fault::to_string);
            Problem::new(StatusCode::BAD_REQUEST, "malformed-reading", first).errors(&faults)
        }
        Refused::TooLong => too_large(format!("one reading has at most {OBJECT_BYTES} bytes")),
        Refused::TooMany => too_large(format!("one request has at most {MAX_READINGS} readings")),
    }
}

pub(crate) fn not_stored(error: NotStored) -> Problem {
    match error {
        NotStored::BadData => Problem::new(StatusCode::BAD_REQUEST, "refused-reading", error.to_string()),
        NotStored::TooLarge => too_large(error.to_string()),
        NotStored::Full => try_again("queue-full", error.to_string()),
        NotStored::Unavailable => unavailable(),
        NotStored::KeyInUse => {
            Problem::new(StatusCode::CONFLICT, "idempotency-key-in-use", error.to_string())
                .retry_after(RETRY_AFTER)
        }
        NotStored::KeyReused => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", error.to_string())
        }
    }
}

/// The database is unreachable or slow.
pub(crate) fn unavailable() -> Problem {
    try_again("store-unavailable", NotStored::Unavailable.to_string())
}

pub(crate) fn body_too_large() -> Problem {
    too_large(format!("a body has at most {ARRAY_BYTES} bytes"))
}

pub(crate) fn request_key(_: BadKey) -> Problem {
    let detail = "the Idempotency-Key must be one string of 1 to 255 visible ASCII characters";
    Problem::new(StatusCode::BAD_REQUEST, "bad-idempotency-key", detail)
}

pub(crate) fn broken_body() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "broken-body", "the body does not match its headers")
}

/// An answer to a request whose body was not read: the connection ends, since the rest may be on its way.
pub(crate) fn unread(problem: Problem) -> Problem {
    problem.header(header::CONNECTION, "close")
}

pub(crate) fn not_utf_8() -> Problem {
    refused(Refused::whole("the body is not UTF-8"))
}

pub(crate) fn too_many_fields() -> Problem {
    too_large(format!(
        "one request makes at most {MAX_LINE_READINGS} readings, with {SPREAD_BYTES} bytes of metadata together"
    ))
}

/// Of some lines, as InfluxDB says it: its clients do not send them again.
pub(crate) fn partial_write(line: usize, why: &str, dropped: usize) -> Problem {
    let place = if line == 0 { String::new() } else { format!("line {line}: ") };
    let detail = format!("partial write: {place}{why} dropped={dropped}");
    Problem::new(StatusCode::BAD_REQUEST, "partial-write", detail)
}

pub(crate) fn no_such_hook() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", "no hook of this name is configured")
}

pub(crate) fn method(method: &Method, allowed: &'static str) -> Problem {
    let detail = format!("method not allowed: {method}");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail).header(header::ALLOW, allowed)
}

/// Of a page that makes its visitors' browsers send a reading.
pub(crate) fn from_page() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "foreign-origin", "a page of another site must not send this")
}

pub(crate) fn bad_signature(header: &str) -> Problem {
    let detail = format!("{header} is missing, or is not the signature of this body");
    Problem::new(StatusCode::FORBIDDEN, "bad-signature", detail)
}

pub(crate) fn signed_coding() -> Problem {
    let detail = "a signed body must not have a Content-Encoding";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-content-coding", detail)
        .header(header::ACCEPT_ENCODING, "identity")
}

pub(crate) fn no_queries() -> Problem {
    let detail =
        "only CREATE DATABASE is answered here; what is stored is read from the gateway's /api/readings";
    Problem::new(StatusCode::BAD_REQUEST, "no-queries", detail)
}

pub(crate) fn broken_coding() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "broken-body", "the body does not match its Content-Encoding")
}

pub(crate) fn bodies_full() -> Problem {
    try_again("queue-full", "too many bodies are being received".to_owned())
}

pub(crate) fn media_type() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "the body must be application/json or application/x-ndjson, in UTF-8",
    )
}

/// With what is taken (RFC 9110 §12.5.3).
pub(crate) fn content_coding() -> Problem {
    let detail = format!("the Content-Encoding must be one of {}, or none", encoding::ACCEPTED);
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-content-coding", detail)
        .header(header::ACCEPT_ENCODING, encoding::ACCEPTED)
}
