//! CORS (Fetch standard): requests of foreign pages are refused before anything is done, responses to listed ones permit
//! them.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::origin::Origins;

/// The headers that a listed page may send beside those of every page.
const REQUEST_HEADERS: &str = "authorization, content-encoding, content-type, idempotency-key, if-none-match, \
                               last-event-id, traceparent, tracestate, x-api-key";

/// The response headers that it may read.
const RESPONSE_HEADERS: &str = "etag, idempotency-replayed, link, ratelimit, ratelimit-policy, retry-after, rowcast-position, \
                                www-authenticate";

/// How long a browser may cache a preflight response, in seconds.
const MAX_AGE_S: &str = "600";

/// The layer for a service's routes.
#[derive(Clone)]
pub struct Cors {
    origins: Origins,
    methods: HeaderValue,
}

impl Cors {
    /// Pages of these origins may use these methods, for example `GET, HEAD`.
    pub fn new(origins: Origins, methods: &'static str) -> Self {
        Self { origins, methods: HeaderValue::from_static(methods) }
    }
}

impl<S> Layer<S> for Cors {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, cors: self.clone() }
    }
}

/// Routes behind [`Cors`].
#[derive(Clone)]
pub struct Guarded<S> {
    inner: S,
    cors: Cors,
}

impl<S: Service<Request, Response = Response>> Service<Request> for Guarded<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let from_page = request.headers().contains_key(header::ORIGIN);
        let allow = match self.cors.origins.check(request.headers()) {
            Ok(allow) => allow,
            Err(problem) => return Answering::ready(varying(problem.into_response())),
        };
        let preflight = request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        match allow {
            Some(allow) if preflight => Answering::ready(self.cors.permit(allow)),
            allow => Answering::Inner { answer: self.inner.call(request), from_page, allow },
        }
    }
}

impl Cors {
    fn permit(&self, allow: (HeaderName, HeaderValue)) -> Response {
        let mut response = varying(StatusCode::NO_CONTENT.into_response());
        let headers = response.headers_mut();
        headers.extend([allow]);
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(REQUEST_HEADERS));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE_S));
        response
    }
}

fn varying(mut response: Response) -> Response {
    response.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
    response
}

pin_project! {
    /// The response on its way.
    #[project = AnsweringProjection]
    pub enum Answering<F> {
        Ready { response: Option<Response> },
        Inner {
            #[pin]
            answer: F,
            from_page: bool,
            allow: Option<(HeaderName, HeaderValue)>,
        },
    }
}

impl<F> Answering<F> {
    fn ready(response: Response) -> Self {
        Self::Ready { response: Some(response) }
    }
}

impl<F: Future<Output = Result<Response, E>>, E> Future for Answering<F> {
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AnsweringProjection::Ready { response } => {
                Poll::Ready(Ok(response.take().expect("a future is not polled after its end")))
            }
            AnsweringProjection::Inner { answer, from_page, allow } => {
                let answered = ready!(answer.poll(cx));
                Poll::Ready(answered.map(|response| {
                    let mut response = if *from_page { varying(response) } else { response };
                    if let Some(allow) = allow.take() {
                        let headers = response.headers_mut();
                        headers.extend([allow]);
                        let exposed = HeaderValue::from_static(RESPONSE_HEADERS);
                        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
                    }
                    response
                }))
            }
        }
    }
}
