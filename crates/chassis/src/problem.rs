//! Refusals as `application/problem+json` (RFC 9457): those of a service and of the chassis.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

/// A refusal: status, a stable code, a sentence for people, and a list of the faults where there are several.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Option<Value>,
    retry_after: Option<u32>,
    headers: Vec<(HeaderName, &'static str)>,
}

impl Problem {
    /// `code` becomes the type, `urn:rowcast:problem:<code>`; it never changes once published.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), errors: None, retry_after: None, headers: Vec::new() }
    }

    /// With the member `errors`: a list of objects with `pointer` and `detail`.
    #[must_use]
    pub fn errors(self, errors: &impl Serialize) -> Self {
        Self { errors: serde_json::to_value(errors).ok(), ..self }
    }

    /// With `Retry-After`, in seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// With a header, such as one that names what would be accepted.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Its sentence.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Its body.
    pub fn to_json(&self) -> Value {
        let mut body = json!({
            "type": format!("urn:rowcast:problem:{}", self.code),
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "error": self.detail,
        });
        if let Some(errors) = &self.errors {
            body["errors"] = errors.clone();
        }
        body
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/problem+json");
        let mut response = (self.status, [(CONTENT_TYPE, json)], self.to_json().to_string()).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        for (name, value) in self.headers {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// `Retry-After` of a refusal for lack of capacity, in seconds.
const RETRY_AFTER_S: u32 = 5;

/// Why a request was refused before the service's own response, or instead of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    HostHeader,
    Framing,
    HeadersTooLarge,
    BodyTimeout,
    Plaintext,
    TooManyConnections,
    AnswersWait,
}

impl Refusal {
    const fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::HostHeader => {
                (StatusCode::BAD_REQUEST, "host-header", "the request needs exactly one Host header")
            }
            Self::Framing => {
                (StatusCode::BAD_REQUEST, "framing", "Transfer-Encoding must be chunked, and only once")
            }
            Self::HeadersTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers-too-large",
                "the request has more than 64 headers, or more than 16 KiB of them",
            ),
            Self::BodyTimeout => {
                (StatusCode::REQUEST_TIMEOUT, "body-timeout", "the request's body took too long to arrive")
            }
            Self::Plaintext => {
                (StatusCode::BAD_REQUEST, "tls-required", "this port speaks TLS: use https:// or wss://")
            }
            Self::TooManyConnections => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too-many-connections",
                "the server is at its connection limit",
            ),
            Self::AnswersWait => {
                (StatusCode::SERVICE_UNAVAILABLE, "busy", "too many responses are waiting to be read")
            }
        }
    }

    fn problem(self) -> Problem {
        let (status, code, error) = self.parts();
        let problem = Problem::new(status, code, error);
        if self.passes() { problem.retry_after(RETRY_AFTER_S) } else { problem }
    }

    /// Whether the same may be accepted later.
    fn passes(self) -> bool {
        self.parts().0 == StatusCode::SERVICE_UNAVAILABLE
    }

    pub(crate) fn response(self) -> Response {
        self.problem().into_response()
    }

    /// The response's bytes, for a connection that is refused without an HTTP server.
    pub(crate) fn raw(self) -> String {
        let (status, ..) = self.parts();
        let body = self.problem().to_json().to_string();
        let retry = if self.passes() { format!("retry-after: {RETRY_AFTER_S}\r\n") } else { String::new() };
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\
             {retry}connection: close\r\n\r\n{body}",
            body.len()
        )
    }
}
