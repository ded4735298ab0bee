//! Each refusal with its status and its stable code.

use axum::response::{IntoResponse, Response};
use chassis::Problem;
use http::{StatusCode, header};

use crate::{
    body::{Fault, Refused},
    committer::NotStored,
    encoding,
};

/// When to come back after a refusal that is not the client's fault, in seconds.
const RETRY_AFTER: u32 = 1;

pub(crate) fn refused(refused: Refused) -> Problem {
    match refused {
        Refused::Malformed(faults) => {
            let first = faults.first().map_or_else(String::new, Fault::to_string);
            Problem::new(StatusCode::BAD_REQUEST, "malformed-reading", first).errors(&faults)
        }
        Refused::TooLarge(detail) => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail),
    }
}

pub(crate) fn not_stored(error: NotStored) -> Problem {
    match error {
        NotStored::BadData => Problem::new(StatusCode::BAD_REQUEST, "refused-reading", error.to_string()),
        NotStored::TooLarge => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", error.to_string()),
        NotStored::Full => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "queue-full", error.to_string())
            .retry_after(RETRY_AFTER),
        NotStored::Unavailable => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", error.to_string())
                .retry_after(RETRY_AFTER)
        }
    }
}

pub(crate) fn body_too_large() -> Problem {
    let detail = format!("a body has at most {} bytes", crate::body::ARRAY_BYTES);
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
}

pub(crate) fn broken_body() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "broken-body", "the body did not arrive as its headers say")
}

/// An answer to a request whose body was not read: the connection ends, since the rest may be on its way.
pub(crate) fn unread(problem: Problem) -> Response {
    ([(header::CONNECTION, "close")], problem).into_response()
}

pub(crate) fn broken_coding() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "broken-body", "the body is not what its Content-Encoding says")
}

pub(crate) fn no_room() -> Problem {
    let detail = "too many bodies are on their way";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "queue-full", detail).retry_after(RETRY_AFTER)
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

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = self.pointer.trim_start_matches('/');
        if place.is_empty() { f.write_str(&self.detail) } else { write!(f, "{place}: {}", self.detail) }
    }
}
