//! Server-sent events (HTML Living Standard §9.2).

use wire::{Position, Reading, ServerMessage, TraceParent};

use super::{
    frames::{Frames, Pieces, trace_of},
    rows::Rows,
};
use crate::outbox::Outbox;

/// When a browser's `EventSource` comes back after its stream has ended, in milliseconds; the session's number
/// spreads it, so that the clients of a gateway that died do not come back at once.
const RETRY_MS: u64 = 1_000;

/// Events of one write of a snapshot.
const SNAPSHOT_EVENTS: usize = 200;

/// A comment, which clients ignore.
pub(super) const PING: &[u8] = b": ping\n\n";

pub(super) fn begin(session: u64, out: &mut Outbox) {
    out.push(format!("retry: {}\n\n", RETRY_MS + session % RETRY_MS).into_bytes());
}

/// Each reading as an event.
pub(super) fn events(frames: &Frames) -> &Pieces {
    frames.sse.get_or_init(|| frames.encode(|position, data, out| event(Some(position), data, out)))
}

/// Each with a field of its own before it, which an `EventSource` passes over.
pub(super) fn traced_readings(frames: &Frames, traces: &[(u32, TraceParent)], rows: &Rows, out: &mut Outbox) {
    let mut written = Vec::new();
    for row in rows.indices(frames.count()) {
        if let Some(trace) = trace_of(traces, row) {
            written.extend_from_slice(format!("traceparent: {trace}\n").as_bytes());
        }
        written.extend_from_slice(&events(frames).one(row));
    }
    out.push(written);
}

/// Writes a reading. JSON text holds no line break, so no value can end the field.
fn event(position: Option<Position>, data: &[u8], out: &mut Vec<u8>) {
    if let Some(position) = position {
        out.extend_from_slice(format!("id: {position}\n").as_bytes());
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}

/// Writes an event of mode `latest`, with the number of merged readings as a comment.
pub(super) fn latest(merged: u64, data: &[u8], out: &mut Vec<u8>) {
    if merged > 0 {
        out.extend_from_slice(format!(": merged {merged}\n").as_bytes());
    }
    event(None, data, out);
}

pub(super) fn snapshot(newest: &[Reading], out: &mut Outbox) {
    let mut data = Vec::new();
    for chunk in newest.chunks(SNAPSHOT_EVENTS) {
        let mut events = Vec::new();
        for reading in chunk {
            data.clear();
            reading.write_json(&mut data);
            event(None, &data, &mut events);
        }
        out.push(events);
    }
}

/// A named event with the message's body. `hello`, `ok` and `pong` have none: a stream is one subscription.
pub(super) fn message(message: &ServerMessage, out: &mut Outbox) {
    let ServerMessage { live, mark, gap, bye, expires, error, .. } = message;
    let (name, id, body) = match (live, mark, gap, bye, expires, error) {
        (Some(live), ..) => ("live", Some(live.pos), json(live)),
        (_, Some(mark), ..) => ("mark", Some(mark.pos), json(mark)),
        (_, _, Some(gap), ..) => ("gap", Some(gap.to), json(gap)),
        (_, _, _, Some(bye), ..) => ("bye", None, json(bye)),
        (.., Some(expires), _) => ("expires", None, json(expires)),
        (.., Some(error)) => ("error", None, json(error)),
        _ => return,
    };
    let mut named = format!("event: {name}\n").into_bytes();
    event(id, body.as_bytes(), &mut named);
    out.push(named);
}

fn json(body: &impl serde::Serialize) -> String {
    serde_json::to_string(body).expect("messages have no map keys that could fail")
}

#[cfg(test)]
mod tests {
    use wire::{
        Epoch, Tick,
        frame::{Live, Mark},
    };

    use super::*;

    fn written(text: &ServerMessage) -> String {
        let mut out = Outbox::default();
        message(text, &mut out);
        String::from_utf8(out.chunks(usize::MAX).iter().flat_map(|slice| slice.to_vec()).collect()).unwrap()
    }

    #[test]
    fn what_carries_a_position_sets_the_stream_s_last_event_id() {
        let pos = Position::new(Epoch(1), Tick(2), 3);
        let live = ServerMessage { live: Some(Live { pos }), ..ServerMessage::default() };
        assert_eq!(written(&live), "event: live\nid: 1.2.3\ndata: {\"pos\":\"1.2.3\"}\n\n");
        let mark = Mark { pos, n: 4, stale: false };
        let mark = ServerMessage { mark: Some(mark), ..ServerMessage::default() };
        assert_eq!(written(&mark), "event: mark\nid: 1.2.3\ndata: {\"pos\":\"1.2.3\",\"n\":4}\n\n");
        let ok = ServerMessage { ok: Some(Default::default()), ..ServerMessage::default() };
        assert_eq!(written(&ok), "");
    }
}
