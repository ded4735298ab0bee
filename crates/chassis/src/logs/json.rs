//! A log line as one JSON object: the event's fields, errors with their sources, and the enclosing spans.

use std::error::Error;
use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::chain::chain;
use crate::traces;

pub(super) struct JsonLines;

impl<S> FormatEvent<S, JsonFields> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut line = Map::new();
        line.insert("timestamp".to_owned(), time.into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        event.record(&mut Fields(&mut line));
        line.insert("target".to_owned(), event.metadata().target().into());
        if let Some(trace) = traces::current() {
            line.insert("trace_id".to_owned(), trace.trace_id().to_string().into());
            line.insert("span_id".to_owned(), trace.span_id().to_string().into());
        }
        let spans = context.event_scope().into_iter().flat_map(|scope| scope.from_root());
        let spans: Vec<Value> = spans
            .map(|span| {
                let extensions = span.extensions();
                let fields = extensions.get::<FormattedFields<JsonFields>>();
                let fields = fields.and_then(|fields| serde_json::from_str(&fields.fields).ok());
                let mut fields: Map<String, Value> = fields.unwrap_or_default();
                fields.insert("name".to_owned(), span.name().into());
                fields.into()
            })
            .collect();
        if !spans.is_empty() {
            line.insert("spans".to_owned(), spans.into());
        }
        writeln!(writer, "{}", Value::from(line))
    }
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.add(field, chain(value).to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::Layer;
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("redis error")]
    struct Failed(#[source] io::Error);

    /// The lines that were written.
    #[derive(Clone, Default)]
    pub(in super::super) struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        pub(in super::super) fn all(&self) -> Vec<Value> {
            let bytes = self.0.lock().unwrap();
            let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
        }
    }

    /// The layer of a service, which writes there.
    pub(in super::super) fn json_layer<S>(lines: &Lines) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_subscriber::fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(JsonLines)
            .with_writer(lines.clone())
    }

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn an_error_is_logged_with_its_source_and_the_enclosing_spans() {
        let lines = Lines::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(json_layer(&lines)), || {
            let error = Failed(io::Error::other("NOPERM"));
            tracing::info_span!("boot", try_no = 2).in_scope(|| {
                tracing::warn!(error = &error as &dyn Error, count = 3, "lost {}", "it");
            });
        });
        let line = lines.all().remove(0);
        assert_eq!(line["error"], "redis error: NOPERM");
        assert_eq!(
            (&line["message"], &line["count"], &line["level"]),
            (&"lost it".into(), &3.into(), &"WARN".into())
        );
        assert_eq!((&line["spans"][0]["name"], &line["spans"][0]["try_no"]), (&"boot".into(), &2.into()));
    }
}
