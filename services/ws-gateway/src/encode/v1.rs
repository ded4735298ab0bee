//! v1 over WebSocket: JSON in text frames, the events of a tick in one frame.

use bytes::Bytes;
use wire::{Reading, ServerMessage, TraceParent, frame};

use super::{
    frames::{FIRST_SUB, Frames, Pieces, trace_of},
    rows::Rows,
};
use crate::{
    outbox::Outbox,
    websocket::frame::{MAX_HEADER, write_text, write_text_header},
};

/// Events of one frame of a snapshot.
const SNAPSHOT_EVENTS: usize = 200;

/// `,{"sub":N,`, which every event of a subscription but a frame's first begins with.
#[derive(Debug, Clone)]
pub(crate) struct EventHead {
    sub: u32,
    next: Bytes,
}

impl EventHead {
    pub(crate) fn new(sub: u32) -> Self {
        if sub == FIRST_SUB {
            return Self { sub, next: Bytes::from_static(br#",{"sub":1,"#) };
        }
        let mut next = vec![b','];
        frame::write_event_head(sub, &mut next);
        Self { sub, next: next.into() }
    }
}

pub(super) fn message(message: &ServerMessage, out: &mut Outbox) {
    text(message.to_json().as_bytes(), out);
}

pub(super) fn messages(messages: &[ServerMessage], out: &mut Outbox) {
    let json = serde_json::to_string(messages).expect("messages have no map keys that could fail");
    text(json.as_bytes(), out);
}

/// What is the same for every subscription in each reading's event.
pub(super) fn events(frames: &Frames) -> &Pieces {
    frames.events.get_or_init(|| frames.encode(frame::write_event_tail))
}

/// The frame of each reading as a single event of [`FIRST_SUB`].
fn alone(frames: &Frames) -> &Pieces {
    let mut text = Vec::new();
    frames.alone.get_or_init(|| {
        frames.encode(|position, data, out| {
            text.clear();
            frame::write_event_head(FIRST_SUB, &mut text);
            frame::write_event_tail(position, data, &mut text);
            write_text(&text, out);
        })
    })
}

/// The frame with the events of all readings for [`FIRST_SUB`].
fn whole(frames: &Frames) -> Bytes {
    let encode = || {
        let (tails, count) = (events(frames), frames.count());
        let mut list = Vec::with_capacity(tails.len() + 16 * count);
        for index in 0..count {
            list.push(if index == 0 { b'[' } else { b',' });
            frame::write_event_head(FIRST_SUB, &mut list);
            list.extend_from_slice(&tails.one(index));
        }
        let json = end_list(&mut list, count as u64);
        let mut out = Vec::with_capacity(json.len() + MAX_HEADER);
        write_text(json, &mut out);
        out.into()
    };
    frames.whole.get_or_init(encode).clone()
}

pub(super) fn readings(head: &EventHead, frames: &Frames, rows: &Rows, out: &mut Outbox) {
    match rows {
        Rows::From(0) if head.sub == FIRST_SUB => out.push(whole(frames)),
        Rows::From(first) => one_frame(head, events(frames), *first..frames.count(), out),
        Rows::These(these) => match these[..] {
            [] => {}
            [_] if head.sub == FIRST_SUB => rows.push(alone(frames), out),
            _ => one_frame(head, events(frames), these.iter().copied(), out),
        },
    }
}

pub(super) fn traced_readings(
    head: &EventHead,
    frames: &Frames,
    traces: &[(u32, TraceParent)],
    rows: &Rows,
    out: &mut Outbox,
) {
    let (mut list, mut count) = (Vec::new(), 0);
    for row in rows.indices(frames.count()) {
        list.push(if count == 0 { b'[' } else { b',' });
        frame::write_event_head(head.sub, &mut list);
        if let Some(trace) = trace_of(traces, row) {
            frame::write_event_trace(trace, &mut list);
        }
        list.extend_from_slice(&events(frames).one(row));
        count += 1;
    }
    if count > 0 {
        push_list(list, count, out);
    }
}

/// Puts one frame together from slices of the batch and the subscription's own head.
fn one_frame(head: &EventHead, events: &Pieces, rows: impl Iterator<Item = usize>, out: &mut Outbox) {
    let tails: Vec<Bytes> = rows.map(|row| events.one(row)).collect();
    let brackets = if tails.len() == 1 { 0 } else { 2 };
    let heads = head.next.len() * tails.len() - 1;
    let mut opening = Vec::with_capacity(MAX_HEADER + head.next.len());
    let length = heads + tails.iter().map(Bytes::len).sum::<usize>() + brackets;
    write_text_header(length, &mut opening);
    if brackets > 0 {
        opening.push(b'[');
    }
    opening.extend_from_slice(&head.next[1..]);
    out.push(opening);
    for (index, tail) in tails.into_iter().enumerate() {
        if index > 0 {
            out.push_part(head.next.clone(), events.len());
        }
        out.push_part(tail, events.len());
    }
    if brackets > 0 {
        out.push(&b"]"[..]);
    }
}

pub(super) fn snapshot(sub: u32, newest: &[Reading], out: &mut Outbox) {
    let mut data = Vec::new();
    for chunk in newest.chunks(SNAPSHOT_EVENTS) {
        let mut events = Vec::new();
        for (index, reading) in chunk.iter().enumerate() {
            data.clear();
            reading.write_json(&mut data);
            events.push(if index == 0 { b'[' } else { b',' });
            frame::write_snapshot_event(sub, &data, &mut events);
        }
        events.push(b']');
        text(&events, out);
    }
}

/// Appends an event of mode `latest` to the others of its frame.
pub(super) fn latest(sub: u32, merged: u64, data: &[u8], events: &mut Vec<u8>) {
    events.push(if events.is_empty() { b'[' } else { b',' });
    frame::write_latest_event(sub, merged, data, events);
}

/// Writes events, each with `[` or `,` before it, in one frame: a list if there are several.
pub(super) fn push_list(mut events: Vec<u8>, count: u64, out: &mut Outbox) {
    text(end_list(&mut events, count), out);
}

/// A single event stands alone, several are a JSON array.
fn end_list(events: &mut Vec<u8>, count: u64) -> &[u8] {
    if count == 1 {
        return &events[1..];
    }
    events.push(b']');
    events
}

fn text(json: &[u8], out: &mut Outbox) {
    let mut frame = Vec::with_capacity(json.len() + MAX_HEADER);
    write_text(json, &mut frame);
    out.push(frame);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_subscription_s_head_is_as_any_other_s() {
        let mut head = vec![b','];
        frame::write_event_head(FIRST_SUB, &mut head);
        assert_eq!(EventHead::new(FIRST_SUB).next, head);
    }
}
