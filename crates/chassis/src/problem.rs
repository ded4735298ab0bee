//! The chassis' own refusals, as `application/problem+json`.

use axum::body::Body;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde_json::json;

/// Why a request was refused before, or instead of, the service's own answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    HostHeader,
    HeadersTooLarge,
    BodyTimeout,
    TooManyConnections,
}

impl Problem {
    const fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::HostHeader => {
                (StatusCode::BAD_REQUEST, "host-header", "the request needs exactly one Host header")
            }
            Self::HeadersTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers-too-large",
                "the request has more than 64 headers, or more than 16 KiB of them",
            ),
            Self::BodyTimeout => {
                (StatusCode::REQUEST_TIMEOUT, "body-timeout", "the request's body took too long to arrive")
            }
            Self::TooManyConnections => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too-many-connections",
                "the server has no room for another connection",
            ),
        }
    }

    fn json(self) -> String {
        let (status, code, error) = self.parts();
        json!({
            "type": format!("urn:rowcast:problem:{code}"),
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": error,
            "error": error,
        })
        .to_string()
    }

    pub(crate) fn response(self) -> Response {
        let mut response = Response::new(Body::from(self.json()));
        *response.status_mut() = self.parts().0;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }

    /// The answer's bytes, for a connection that no HTTP server gets to see.
    pub(crate) fn raw(self) -> String {
        let (status, ..) = self.parts();
        let body = self.json();
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\
             retry-after: 5\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    }
}
