//! Traces: spans are exported by OTLP over gRPC if `OTEL_EXPORTER_OTLP_ENDPOINT` is set.

use std::time::Duration;

use anyhow::Context as _;
use http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::{Level, Metadata, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// How long the last export may take; an unreachable collector must not delay the exit further.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// The exporter, or nothing.
pub(crate) struct Traces(Option<SdkTracerProvider>);

impl Traces {
    pub(crate) const OFF: Self = Self(None);

    /// Connects lazily: an unreachable collector loses spans and does not prevent the start. Must run inside the runtime,
    /// whose threads run the export.
    pub(crate) fn start(name: &'static str, version: &'static str, endpoint: &str) -> anyhow::Result<Self> {
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .build()
            .context("OTEL_EXPORTER_OTLP_ENDPOINT is not usable")?;
        // The builder also reads OTEL_RESOURCE_ATTRIBUTES.
        let resource = Resource::builder()
            .with_service_name(name)
            .with_attribute(KeyValue::new("service.version", version))
            .build();
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        Ok(Self(Some(provider)))
    }

    pub(crate) fn tracer(&self, name: &'static str) -> Option<SdkTracer> {
        self.0.as_ref().map(|provider| provider.tracer(name))
    }

    /// Sends what is queued and ends the exporter. Blocks, so it is called outside the event loop.
    pub(crate) fn flush(self) {
        if let Some(Err(fault)) = self.0.map(|provider| provider.shutdown_with_timeout(FLUSH_LIMIT)) {
            tracing::warn!(%fault, "failed to export the last spans");
        }
    }
}

/// Whether a span or an event is part of a trace, whatever the log level: all from `INFO` on, and below it this crate's
/// spans of requests. Those of the exporter's own transport are not: they would be spans about sending spans.
pub(crate) fn carry(what: &Metadata<'_>) -> bool {
    const TRANSPORT: [&str; 5] = ["h2", "hyper", "tonic", "tower", "opentelemetry"];
    let is_request = what.is_span() && what.target().starts_with("chassis");
    let is_transport = TRANSPORT.iter().any(|own| what.target().starts_with(own));
    (*what.level() <= Level::INFO || is_request) && !is_transport
}

/// The current span as a W3C `traceparent`, to be passed on with the work; `None` when traces are off.
pub fn traceparent() -> Option<String> {
    let context = Span::current().context();
    if !context.span().span_context().is_valid() {
        return None;
    }
    let mut carrier = std::collections::HashMap::<String, String>::new();
    TraceContextPropagator::new().inject_context(&context, &mut carrier);
    carrier.remove("traceparent")
}

/// Makes `span` a child of the span in the request's headers.
pub fn set_parent(span: &Span, headers: &HeaderMap) {
    if !headers.contains_key("traceparent") {
        return;
    }
    let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers));
    if parent.has_active_span() {
        // Fails only where no trace layer is installed: then there is no trace to join.
        let _ = span.set_parent(parent);
    }
}

/// Links `span` to the span in `traceparent`: for a batch, which has many causes and no single parent. An invalid
/// `traceparent` is ignored.
pub fn link(span: &Span, traceparent: &str) {
    let carrier = std::collections::HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    let cause = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
    if cause.has_active_span() {
        span.add_link(cause.span().span_context().clone());
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use tracing::{debug_span, info_span};

    use super::*;

    #[test]
    fn requests_are_traced_and_details_of_libraries_are_not() {
        tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            let carried = |span: Span| carry(span.metadata().unwrap());
            assert!(carried(debug_span!(target: "chassis::observe", "request")));
            assert!(carried(info_span!(target: "sqlx::query", "slow")));
            assert!(!carried(debug_span!(target: "kube_client", "HTTP")));
            assert!(!carried(info_span!(target: "h2::client", "poll")));
        });
    }
}
