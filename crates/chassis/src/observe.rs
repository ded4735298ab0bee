//! Each request of the public port: timed by its route, inside a span that continues the caller's trace.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use http::{Method, StatusCode};
use instruments::HistogramVec;
use pin_project_lite::pin_project;
use tower::layer::layer_fn;
use tower::{Layer, Service};
use tracing::instrument::Instrumented;
use tracing::{Instrument, Span, debug_span, field};

use crate::accept::client::Client;
use crate::traces::{self, Caller};

/// A route's service, observed. axum's middleware functions would cost a few more allocations per request.
#[derive(Clone)]
pub(crate) struct Observed<S> {
    inner: S,
    duration: HistogramVec,
}

/// The layer for a router; `duration` is by method, route and status.
pub(crate) fn observe<S>(duration: HistogramVec) -> impl Layer<S, Service = Observed<S>> + Clone {
    layer_fn(move |inner| Observed { inner, duration: duration.clone() })
}

impl<S: Service<Request, Response = Response>> Service<Request> for Observed<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = Observation<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let began = Instant::now();
        let method = method_label(request.method());
        let route = request.extensions().get::<MatchedPath>().cloned();
        let name = route.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
        let span = span(method, name, &request);
        let caller = traces::continue_in(&span, request.headers());
        let response = span.in_scope(|| self.inner.call(request)).instrument(span);
        Observation { response, began, method, route, caller, duration: self.duration.clone() }
    }
}

pin_project! {
    /// The response on its way.
    pub(crate) struct Observation<F> {
        #[pin]
        response: Instrumented<F>,
        began: Instant,
        method: &'static str,
        route: Option<MatchedPath>,
        caller: Option<Caller>,
        duration: HistogramVec,
    }
}

impl<F: Future<Output = Result<Response, E>>, E> Future for Observation<F> {
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let _entered = this.caller.as_ref().map(Caller::enter);
        let answered = ready!(this.response.as_mut().poll(cx));
        if let Ok(response) = &answered {
            let status = response.status();
            record(this.response.span(), status);
            let route = this.route.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
            this.duration
                .with_label_values(&[*this.method, route, status.as_str()])
                .observe(this.began.elapsed().as_secs_f64());
        }
        Poll::Ready(answered)
    }
}

/// A request's span, by the semantic conventions of OpenTelemetry. Below the default log level: otherwise every request
/// would pay for formatting a span that no line needs.
fn span(method: &'static str, route: &str, request: &Request) -> Span {
    let client = request.extensions().get::<Client>();
    let span = debug_span!(
        "request",
        otel.kind = "server",
        otel.name = field::Empty,
        otel.status_code = field::Empty,
        error.type = field::Empty,
        client.address = field::Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = field::Empty,
        url.scheme = client.map_or("http", |client| client.scheme()),
        url.path = request.uri().path(),
    );
    if !span.is_disabled() {
        span.record("otel.name", format!("{method} {route}"));
        if let Some(client) = client {
            span.record("client.address", field::display(client.address()));
        }
    }
    span
}

/// A server's span is an error if the server is at fault.
fn record(span: &Span, status: StatusCode) {
    // i64: the layer has no other whole numbers
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", status.as_str());
    }
}

/// The route label of a request that matches no route.
const UNMATCHED: &str = "unmatched";

/// A client may send any method; a label must have few values.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
