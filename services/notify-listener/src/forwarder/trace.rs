//! The spans of a leader's work, for readings whose trace is recorded: the tick, and the append of its entries.

use std::time::SystemTime;

use bus::NewEntry;
use chassis::spans::{SpanKind, Tracer, Work, WorkSpan};
use store::log::TickReadings;

/// The span of a tick that was begun at that time.
pub(super) fn tick(tracer: &Tracer, tick: &TickReadings, began: SystemTime) -> Option<WorkSpan> {
    tracer.begin(tick.traces.iter().map(|(_, trace)| trace.as_str()), || Work {
        name: "tick",
        kind: SpanKind::Internal,
        began,
        attributes: vec![("rowcast.tick", tick.tick.0.into()), ("rowcast.readings", tick.rows.into())],
    })
}

/// The span of an append: of the tick's, or where entries are made again, of their readings. The entries carry its context on.
pub(super) fn append(
    tracer: &Tracer,
    tick: Option<&WorkSpan>,
    stream: impl FnOnce() -> String,
    entries: &mut [NewEntry],
) -> Option<WorkSpan> {
    if !tracer.is_on() {
        return None;
    }
    let of_tick = tick.and_then(WorkSpan::traceparent);
    let readings = entries.iter().flat_map(|entry| &entry.provenance.traces).map(|(_, trace)| trace.as_str());
    let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
    let span = tracer.begin(of_tick.as_deref().into_iter().chain(readings), || Work {
        name: "send stream",
        kind: SpanKind::Producer,
        began: SystemTime::now(),
        attributes: vec![
            ("messaging.system", "redis".into()),
            ("messaging.operation.name", "append".into()),
            ("messaging.operation.type", "send".into()),
            ("messaging.destination.name", stream().into()),
            ("messaging.batch.message_count", count.into()),
        ],
    })?;
    let context = span.traceparent().and_then(|context| context.parse().ok());
    let traced = entries.iter_mut().filter(|entry| !entry.provenance.traces.is_empty());
    traced.for_each(|entry| entry.provenance.span = context);
    Some(span)
}
