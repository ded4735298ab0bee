//! Spans of work that is done for many at once, and so may have many causes: the span continues the trace of the first one
//! that is recorded, and links to the others.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::SystemTime;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Link, SpanBuilder, SpanContext, Status, TraceContextExt, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracer;

pub use opentelemetry::Value;
pub use opentelemetry::trace::SpanKind;

/// As many links as the SDK keeps of a span.
const LINKS: usize = 128;

/// Begins spans, where traces are exported.
#[derive(Debug, Clone, Default)]
pub struct Tracer(Option<SdkTracer>);

/// A span to begin.
#[derive(Debug)]
pub struct Work {
    /// Its name: few different ones.
    pub name: &'static str,
    /// Its side of a call or a message.
    pub kind: SpanKind,
    /// When it began.
    pub began: SystemTime,
    /// After OpenTelemetry's semantic conventions where they have a name, else `rowcast.…`.
    pub attributes: Vec<(&'static str, Value)>,
}

/// A span under way. It ends when the last copy is dropped. The default one is recorded nowhere.
#[derive(Debug, Clone, Default)]
pub struct WorkSpan(Context);

impl Tracer {
    pub(crate) fn new(tracer: Option<SdkTracer>) -> Self {
        Self(tracer)
    }

    /// Whether spans are exported.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Begins a span that was caused by the spans of these `traceparent`s. `None` if traces are not exported, or none of the causes
    /// is recorded. Causes that are invalid or the same as another are passed over.
    pub fn begin<'a>(
        &self,
        causes: impl Iterator<Item = &'a str>,
        work: impl FnOnce() -> Work,
    ) -> Option<WorkSpan> {
        let tracer = self.0.as_ref()?;
        let (mut contexts, mut last) = (Vec::<SpanContext>::new(), "");
        for cause in causes {
            // the readings of one request have the same cause
            if cause == std::mem::replace(&mut last, cause) {
                continue;
            }
            let context = context(cause);
            if context.is_sampled() && !contexts.contains(&context) {
                contexts.push(context);
            }
            if contexts.len() > LINKS {
                break;
            }
        }
        let mut contexts = contexts.into_iter();
        let parent = Context::new().with_remote_span_context(contexts.next()?);
        let Work { name, kind, began, attributes } = work();
        let builder = SpanBuilder::from_name(Cow::Borrowed(name))
            .with_kind(kind)
            .with_start_time(began)
            .with_links(contexts.map(|context| Link::new(context, Vec::new(), 0)).collect())
            .with_attributes(attributes.into_iter().map(|(key, value)| KeyValue::new(key, value)));
        Some(WorkSpan(Context::new().with_span(tracer.build_with_context(builder, &parent))))
    }
}

impl WorkSpan {
    /// Its own context, for what it causes.
    pub fn traceparent(&self) -> Option<String> {
        let mut carrier = HashMap::<String, String>::new();
        TraceContextPropagator::new().inject_context(&self.0, &mut carrier);
        carrier.remove("traceparent")
    }

    /// Something happened within it, now.
    pub fn event(&self, name: &'static str, attributes: Vec<(&'static str, Value)>) {
        let attributes = attributes.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect();
        self.0.span().add_event(name, attributes);
    }

    /// It failed.
    pub fn fail(&self, error_type: &'static str) {
        self.0.span().set_attribute(KeyValue::new("error.type", error_type));
        self.0.span().set_status(Status::error(""));
    }
}

fn context(traceparent: &str) -> SpanContext {
    let carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
    context.span().span_context().clone()
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};

    use super::*;

    const ONE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const OTHER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const NOT_RECORDED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

    fn work() -> Work {
        Work { name: "work", kind: SpanKind::Internal, began: SystemTime::now(), attributes: Vec::new() }
    }

    #[test]
    fn a_span_continues_the_first_recorded_trace_and_links_to_the_others() {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let tracer = Tracer::new(Some(provider.tracer("test")));
        assert!(tracer.begin([NOT_RECORDED, "none"].into_iter(), work).is_none());
        let span = tracer.begin([NOT_RECORDED, ONE, OTHER, ONE, "x"].into_iter(), work).unwrap();
        let own = span.traceparent().unwrap();
        assert_eq!(own[..36], ONE[..36], "the same trace");
        let copy = span.clone();
        drop(span);
        assert!(exporter.get_finished_spans().unwrap().is_empty(), "a copy is left");
        drop(copy);
        let spans = exporter.get_finished_spans().unwrap();
        let links: Vec<String> =
            spans[0].links.iter().map(|link| link.span_context.trace_id().to_string()).collect();
        assert_eq!(links, [OTHER[3..35].to_owned()]);
        assert_eq!(spans[0].parent_span_id.to_string(), ONE[36..52]);
    }

    #[test]
    fn without_an_exporter_there_is_no_span() {
        assert!(Tracer::default().begin([ONE].into_iter(), work).is_none());
    }
}
