//! The gate before a route: the request goes on with its caller, or is refused.

use std::{
    mem,
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use chassis::{Client, Problem};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::{caller::Caller, denial::Denial, gate::Gate, judge::Answer, meter::Meter};

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

    /// Takes the request out of the caller's rate, if anything of it is counted.
    fn metered(&self, caller: &Caller) -> Result<Option<Meter>, Box<Response>> {
        let meter = self.gate.meter(caller);
        if !meter.bounds().has_rates() {
            return Ok(None);
        }
        match meter.take_request(Instant::now()) {
            Ok(()) => Ok(Some(meter)),
            Err(denial) => {
                let mut response = (self.refusal)(denial.into());
                meter.write(response.headers_mut());
                Err(Box::new(response))
            }
        }
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

/// From where a request comes, as limits for each address count it.
fn address(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<Client>().map(|client| client.counted_as())
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
                let caller = caller.at(address(&request));
                let metered = match self.guard.metered(&caller) {
                    Ok(metered) => metered,
                    Err(response) => return Answering::Refused { response: Some(*response) },
                };
                request.extensions_mut().insert(caller);
                Answering::Inner { answer: self.inner.call(request), metered }
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
                Answering::Judging { judging, inner: Some(inner), guard: self.guard.clone() }
            }
        }
    }
}

pin_project! {
    /// The response on its way.
    #[project = AnsweringProjection]
    pub enum Answering<S: Service<Request>> {
        Refused { response: Option<Response> },
        Judging { judging: Judging, inner: Option<S>, guard: Guard },
        Inner { #[pin] answer: S::Future, metered: Option<Meter> },
    }
}

impl<S: Service<Request, Response = Response>> Future for Answering<S> {
    type Output = Result<Response, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let (answer, metered) = match self.as_mut().project() {
                AnsweringProjection::Inner { answer, metered } => {
                    let answered = ready!(answer.poll(cx));
                    return Poll::Ready(answered.map(|mut response| {
                        if let Some(meter) = metered {
                            meter.write(response.headers_mut());
                        }
                        response
                    }));
                }
                AnsweringProjection::Refused { response } => {
                    let response = response.take().expect("a future is not polled after its end");
                    return Poll::Ready(Ok(response));
                }
                AnsweringProjection::Judging { judging, inner, guard } => {
                    let (mut request, judged) = ready!(judging.as_mut().poll(cx));
                    let caller = match judged {
                        Ok(caller) => caller.at(address(&request)),
                        Err(denial) => return Poll::Ready(Ok((guard.refusal)(denial.into()))),
                    };
                    let metered = match guard.metered(&caller) {
                        Ok(metered) => metered,
                        Err(response) => return Poll::Ready(Ok(*response)),
                    };
                    request.extensions_mut().insert(caller);
                    let mut inner = inner.take().expect("it is called once");
                    (inner.call(request), metered)
                }
            };
            self.set(Answering::Inner { answer, metered });
        }
    }
}
