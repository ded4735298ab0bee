//! What a refusal costs, and what a credential costs that is let in, among 100,000 device keys.
//!
//! `cargo bench -p access --bench doors`
#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::pin,
    task::{Context, Poll, Waker},
};

use access::{Bounds, Defaults, Gate, Guard};
use auth::{Credential, KeyRecord, KeySet, Limits, Scope, Secrets, UnixMicros, new_key};
use axum::{body::Body, extract::Request, response::Response};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::StatusCode;
use tower::{Layer, Service};

/// Device keys that are known.
const KEYS: u64 = 100_000;

/// A route that answers at once.
#[derive(Clone)]
struct Route;

impl Service<Request> for Route {
    type Response = Response;
    type Error = Infallible;
    type Future = Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request) -> Self::Future {
        ready(Ok(Response::new(Body::empty())))
    }
}

fn answer<S: Service<Request, Response = Response, Error = Infallible>>(
    service: &mut S,
    request: Request,
) -> Response {
    let Poll::Ready(Ok(response)) = pin!(service.call(request)).poll(&mut Context::from_waker(Waker::noop()))
    else {
        panic!("it waits for nothing")
    };
    response
}

fn request() -> Request {
    Request::post("/api/sensors/").header("content-type", "application/json").body(Body::empty()).unwrap()
}

fn requests(criterion: &mut Criterion) {
    let with = |requests: &str| {
        let limits = Limits { requests: requests.parse().ok(), ..Limits::default() };
        let address = Bounds { limits, ..Bounds::default() };
        Guard::new(Gate::open_with(Defaults { address, ..Defaults::default() })).layer(Route)
    };
    for (name, rate, status) in [
        ("a request where nothing is counted", "", StatusCode::OK),
        ("a request within its rate", "1000000/s burst 4000000", StatusCode::OK),
        ("a request beyond its rate: 429", "1/h", StatusCode::TOO_MANY_REQUESTS),
    ] {
        let mut service = with(rate);
        answer(&mut service, request());
        assert_eq!(answer(&mut service, request()).status(), status);
        criterion.bench_function(name, |bencher| {
            bencher.iter_batched(request, |request| answer(&mut service, request), BatchSize::SmallInput);
        });
    }
}

fn record(number: u64) -> (KeyRecord, String) {
    let mut random = [0; 32];
    random[..8].copy_from_slice(&number.to_le_bytes());
    let (key, hash) = new_key(random, number.to_le_bytes());
    let record = KeyRecord {
        id: key.id(),
        name: "device".to_owned(),
        write: Scope::parse(&[format!("acme/device-{number}/*")]).unwrap(),
        read: Scope::none(),
        limits: Limits::default(),
        expires_at: None,
        is_revoked: false,
        secrets: Secrets::one(hash),
    };
    (record, key.expose())
}

fn keys(criterion: &mut Criterion) {
    let mut known = KeySet::default();
    let texts: Vec<String> = (0..KEYS)
        .map(|number| {
            let (record, text) = record(number);
            known.insert(record);
            text
        })
        .collect();
    // another key each time, far from the one before
    let mut place = 0;
    criterion.bench_function("one of 100,000 device keys, and its sensor", |bencher| {
        bencher.iter(|| {
            place = (place + 7_919) % texts.len();
            let Ok(Credential::Key(key)) = Credential::parse(&texts[place]) else { panic!("a key") };
            known.authenticate(&key, UnixMicros(0)).unwrap().may_write("acme/device-1/t")
        });
    });
}

criterion_group!(benches, requests, keys);
criterion_main!(benches);
