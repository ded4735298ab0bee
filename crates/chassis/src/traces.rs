//! Traces: spans are exported by OTLP if `OTEL_EXPORTER_OTLP_ENDPOINT` is set; the caller's trace is kept in any case.

mod caller;
mod exporter;
mod settings;

use std::time::Duration;

use http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::{Level, Metadata, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

pub(crate) use self::caller::Caller;
use self::settings::Settings;

/// How long the last export may take; an unreachable collector must not delay the exit further.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// The exporter, or nothing.
pub(crate) struct Traces(Option<SdkTracerProvider>);

impl Traces {
    pub(crate) const OFF: Self = Self(None);

    /// What the environment says. Must run inside the runtime, whose threads run the export.
    ///
    /// # Errors
    /// All faults of the environment.
    pub(crate) fn start(name: &'static str, version: &'static str) -> anyhow::Result<Self> {
        let settings = Settings::read(|variable| std::env::var(variable).ok());
        let Some(settings) = settings.map_err(|faults| anyhow::anyhow!(faults.join("; ")))? else {
            return Ok(Self::OFF);
        };
        // The builders also read OTEL_RESOURCE_ATTRIBUTES, the sampler and the limits of batches.
        let resource = Resource::builder()
            .with_service_name(name)
            .with_attribute(KeyValue::new("service.version", version))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter::exporter(&settings)?)
            .with_resource(resource)
            .build();
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
    const TRANSPORT: [&str; 6] = ["h2", "hyper", "opentelemetry", "reqwest", "tonic", "tower"];
    let is_request = what.is_span() && what.target().starts_with("chassis");
    let is_transport = TRANSPORT.iter().any(|own| what.target().starts_with(own));
    (*what.level() <= Level::INFO || is_request) && !is_transport
}

/// The current span, or where none is made the one of the request's caller.
pub(crate) fn current() -> Option<SpanContext> {
    let context = Span::current().context();
    let own = context.span().span_context().clone();
    if own.is_valid() { Some(own) } else { caller::current() }
}

/// The current trace as a W3C `traceparent`, to be passed on with the work.
pub fn traceparent() -> Option<String> {
    current().map(|context| {
        let (trace, span, flags) = (context.trace_id(), context.span_id(), context.trace_flags().to_u8());
        format!("00-{trace}-{span}-{flags:02x}")
    })
}

/// Makes `span` a child of the span in the request's headers. Where spans are not made, the caller's trace is returned, to
/// be entered while the request is polled.
pub(crate) fn continue_in(span: &Span, headers: &HeaderMap) -> Option<Caller> {
    if !headers.contains_key("traceparent") {
        return None;
    }
    let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers));
    if !parent.has_active_span() {
        return None;
    }
    let caller = parent.span().span_context().clone();
    span.set_parent(parent).is_err().then_some(Caller(caller))
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
