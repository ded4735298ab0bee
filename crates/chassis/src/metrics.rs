//! Metrics: the registry every service starts with.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::Method;
use prometheus::process_collector::ProcessCollector;
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntGauge, IntGaugeVec, Opts, Registry};
use tracing::{Instrument, field, info_span};

use crate::traces;

/// From half a millisecond (an answer from memory) to five seconds (a request that its client gave up on).
const SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// A registry with the process's own metrics and the build's name.
pub(crate) fn registry(name: &str, version: &str) -> anyhow::Result<Registry> {
    let registry = Registry::new();
    let build = IntGaugeVec::new(
        Opts::new("rowcast_build_info", "Always 1; the labels say what runs"),
        &["service", "version"],
    )?;
    build.with_label_values(&[name, version]).set(1);
    registry.register(Box::new(build))?;
    registry.register(Box::new(ProcessCollector::for_self()))?;
    Ok(registry)
}

/// What the public port counts.
#[derive(Clone)]
pub struct HttpMetrics {
    /// Seconds from a request's head to its response's head
    pub(crate) duration: HistogramVec,
    /// Public connections open now, upgraded ones included while their seat is held
    pub(crate) open: IntGauge,
    /// Public connections accepted since the start
    pub(crate) accepted: IntCounter,
    /// Public connections refused because the cap was reached
    pub(crate) refused: IntCounter,
}

impl HttpMetrics {
    /// # Errors
    /// When the registry has metrics of these names already.
    pub fn register(registry: &Registry) -> anyhow::Result<Self> {
        let metrics = Self {
            duration: HistogramVec::new(
                HistogramOpts::new(
                    "rowcast_http_request_duration_seconds",
                    "Seconds from a request's head to its response's head",
                )
                .buckets(SECONDS.to_vec()),
                &["method", "route", "status"],
            )?,
            open: IntGauge::new(
                "rowcast_http_connections_open",
                "Public connections open now, upgraded ones included while their seat is held",
            )?,
            accepted: IntCounter::new(
                "rowcast_http_connections_accepted_total",
                "Public connections accepted since the start",
            )?,
            refused: IntCounter::new(
                "rowcast_http_connections_refused_total",
                "Public connections refused because the cap was reached",
            )?,
        };
        registry
            .register(Box::new(metrics.duration.clone()))
            .and_then(|()| registry.register(Box::new(metrics.open.clone())))
            .and_then(|()| registry.register(Box::new(metrics.accepted.clone())))
            .and_then(|()| registry.register(Box::new(metrics.refused.clone())))
            .context("registering the public port's metrics")?;
        Ok(metrics)
    }
}

/// Times a request by its matched route, inside a span that continues the caller's trace.
pub(crate) async fn observe(
    State(metrics): State<Arc<HttpMetrics>>,
    request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let span = info_span!("request", method, route, status = field::Empty, otel.kind = "server");
    traces::set_parent(&span, request.headers());
    let response = next.run(request).instrument(span.clone()).await;
    span.record("status", response.status().as_u16());
    let status = response.status();
    metrics
        .duration
        .with_label_values(&[method, route, status.as_str()])
        .observe(began.elapsed().as_secs_f64());
    response
}

/// A client may send any word as its method; a label may not take any value.
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
