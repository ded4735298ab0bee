//! How a connection's messages are written: each protocol in a file of its own.

mod demo;
pub mod frames;
pub(crate) mod lines;
pub(crate) mod rows;
mod sse;
pub(crate) mod v1;

use wire::{Close, Reading, ServerMessage};

use self::{frames::Frames, rows::Rows, v1::EventHead};
use crate::{outbox::Outbox, websocket::frame};

/// The protocol of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// A text frame for each reading, and no other message, as the demo did.
    Demo,
    /// v1 over WebSocket: events with number and position, a tick's in one frame.
    V1,
    /// The same as a stream of server-sent events, with one subscription.
    Sse,
}

impl Protocol {
    /// Whether a connection is one subscription, and ends with it.
    pub(crate) const fn is_one_subscription(self) -> bool {
        matches!(self, Self::Sse)
    }

    /// Whether `ok` answers a command. Where it does not, the first `live` does.
    pub(crate) const fn has_ok(self) -> bool {
        matches!(self, Self::V1)
    }

    /// Whether it has a message for a gap.
    pub(crate) const fn has_gap(self) -> bool {
        !matches!(self, Self::Demo)
    }

    /// Writes what a connection begins with, before any message.
    pub(crate) fn begin(self, session: u64, out: &mut Outbox) {
        match self {
            Self::Demo | Self::V1 => {}
            Self::Sse => sse::begin(session, out),
        }
    }

    /// Writes a message other than an event. One that a protocol does not have is left out.
    pub(crate) fn message(self, message: &ServerMessage, out: &mut Outbox) {
        match self {
            Self::Demo => {}
            Self::V1 => v1::message(message, out),
            Self::Sse => sse::message(message, out),
        }
    }

    /// Writes several messages, in one frame where the protocol has frames.
    pub(crate) fn messages(self, messages: &[ServerMessage], out: &mut Outbox) {
        match (self, messages) {
            (Self::V1, [_, _, ..]) => v1::messages(messages, out),
            (_, messages) => messages.iter().for_each(|message| self.message(message, out)),
        }
    }

    /// Writes the events of a batch's readings.
    pub(crate) fn readings(self, head: &EventHead, frames: &Frames, rows: &Rows, out: &mut Outbox) {
        match self {
            Self::Demo => rows.push(demo::events(frames), out),
            Self::V1 => v1::readings(head, frames, rows, out),
            Self::Sse => rows.push(sse::events(frames), out),
        }
    }

    /// The same with their trace contexts, which clients rarely ask for: these bytes are not shared.
    pub(crate) fn traced_readings(self, head: &EventHead, frames: &Frames, rows: &Rows, out: &mut Outbox) {
        match (self, frames.traces()) {
            (Self::V1, Some(traces)) => v1::traced_readings(head, frames, traces, rows, out),
            (Self::Sse, Some(traces)) => sse::traced_readings(frames, traces, rows, out),
            (Self::Demo, _) | (_, None) => self.readings(head, frames, rows, out),
        }
    }

    /// Writes the newest reading of each sensor. These events carry no position: only the end of a snapshot is one.
    pub(crate) fn snapshot(self, sub: u32, newest: &[Reading], out: &mut Outbox) {
        match self {
            Self::Demo | Self::V1 => v1::snapshot(sub, newest, out),
            Self::Sse => sse::snapshot(newest, out),
        }
    }

    /// Events of mode `latest`, to be written at once.
    pub(crate) fn latest(self, sub: u32) -> LatestEvents {
        LatestEvents { protocol: self, sub, bytes: Vec::new(), count: 0 }
    }

    /// What a silent peer is sent, and must answer where the protocol has an answer.
    pub(crate) const fn ping(self) -> &'static [u8] {
        match self {
            Self::Demo | Self::V1 => frame::PING,
            Self::Sse => sse::PING,
        }
    }

    /// Writes the last bytes of a connection.
    pub(crate) fn close(self, close: Close, out: &mut Outbox) {
        match self {
            Self::Demo | Self::V1 => out.push(frame::close(close)),
            Self::Sse => {}
        }
    }
}

/// Events of mode `latest`, which carry no position.
#[derive(Debug)]
pub(crate) struct LatestEvents {
    protocol: Protocol,
    sub: u32,
    bytes: Vec<u8>,
    count: u64,
}

impl LatestEvents {
    /// Adds one, into which `merged` older readings of its sensor were merged.
    pub(crate) fn add(&mut self, merged: u64, data: &[u8]) {
        match self.protocol {
            Protocol::Demo | Protocol::V1 => v1::latest(self.sub, merged, data, &mut self.bytes),
            Protocol::Sse => sse::latest(merged, data, &mut self.bytes),
        }
        self.count += 1;
    }

    /// Bytes so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Writes them; how many they are.
    pub(crate) fn push(self, out: &mut Outbox) -> u64 {
        match (self.protocol, self.count) {
            (_, 0) => {}
            (Protocol::Demo | Protocol::V1, count) => v1::push_list(self.bytes, count, out),
            (Protocol::Sse, _) => out.push(self.bytes),
        }
        self.count
    }
}

/// Encodes a batch for every protocol, as sessions do one after the other.
#[cfg(test)]
pub(crate) fn encode_all(frames: &Frames) {
    let (mut out, head) = (Outbox::default(), EventHead::new(frames::FIRST_SUB));
    for protocol in [Protocol::Demo, Protocol::V1, Protocol::Sse] {
        protocol.readings(&head, frames, &Rows::From(0), &mut out);
    }
    Protocol::V1.readings(&head, frames, &Rows::These(vec![0]), &mut out);
}
