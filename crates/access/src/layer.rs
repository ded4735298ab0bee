//! The gate before a route: the request goes on with its caller, or is refused.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use chassis::Problem;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::{caller::Caller, denial::Denial, gate::Gate, judge::Answer};

/// Lets requests through with their [`Caller`] as an extension.
#[derive(Clone)]
pub struct Guard {
    gate: Gate,
    refusal: fn(Problem) -> Response,
}

impl Guard {
    /// Before routes whose refusals are problems (RFC 9457).
    pub fn new(gate: Gate) -> Self {
        Self { gate, refusal: IntoResponse::into_response }
    }

    /// Before routes that have a shape of their own for refusals.
    #[must_use]
    pub fn refusing_as(self, refusal: fn(Problem) -> Response) -> Self {
        Self { refusal, ..self }
    }
}

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, guard: self.clone() }
    }
}

/// Routes behind a [`Guard`].
#[derive(Clone)]
pub struct Guarded<S> {
    inner: S,
    guard: Guard,
}

type Judging = Pin<Box<dyn Future<Output = (Request, Result<Caller, Denial>)> + Send>>;

impl<S: Service<Request, Response = Response> + Clone> Service<Request> for Guarded<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = Answering<S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Answering<S> {
        match self.guard.gate.answer(request.headers()) {
            Answer::Now(Ok(caller)) => {
                request.extensions_mut().insert(caller);
                Answering::Inner { answer: self.inner.call(request) }
            }
            Answer::Now(Err(denial)) => {
                Answering::Refused { response: Some((self.guard.refusal)(denial.into())) }
            }
            Answer::Later => {
                let clone = self.inner.clone();
                // the one that is ready
                let inner = mem::replace(&mut self.inner, clone);
                let gate = self.guard.gate.clone();
                let judging = Box::pin(async move {
                    let judged = gate.admit(request.headers()).await;
                    (request, judged)
                });
                Answering::Judging { judging, inner: Some(inner), refusal: self.guard.refusal }
            }
        }
    }
}

pin_project! {
    /// The response on its way.
    #[project = AnsweringProjection]
    pub enum Answering<S: Service<Request>> {
        Refused { response: Option<Response> },
        Judging { judging: Judging, inner: Option<S>, refusal: fn(Problem) -> Response },
        Inner { #[pin] answer: S::Future },
    }
}

impl<S: Service<Request, Response = Response>> Future for Answering<S> {
    type Output = Result<Response, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let answer = match self.as_mut().project() {
                AnsweringProjection::Inner { answer } => return answer.poll(cx),
                AnsweringProjection::Refused { response } => {
                    let response = response.take().expect("a future is not polled after its end");
                    return Poll::Ready(Ok(response));
                }
                AnsweringProjection::Judging { judging, inner, refusal } => {
                    match ready!(judging.as_mut().poll(cx)) {
                        (mut request, Ok(caller)) => {
                            request.extensions_mut().insert(caller);
                            let mut inner = inner.take().expect("it is called once");
                            inner.call(request)
                        }
                        (_, Err(denial)) => return Poll::Ready(Ok(refusal(denial.into()))),
                    }
                }
            };
            self.set(Answering::Inner { answer });
        }
    }
}
