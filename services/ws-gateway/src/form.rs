//! How a connection's messages are written: the demo's frames, v1's, or server-sent events.

use wire::{Close, Position, ServerMessage, frame};

use crate::{outbox::Outbox, ws_frame};

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A text frame for each reading, and no other word, as the demo did.
    Demo,
    /// v1 over WebSocket: events with number and position, a tick's in one frame.
    V1,
    /// The same as a stream of server-sent events, with one subscription.
    Sse,
}

/// When a browser's `EventSource` comes back after its stream has ended, in milliseconds; the session's number
/// spreads it, so that the clients of a gateway that died do not come back as one.
const SSE_RETRY_MS: u64 = 1_000;

impl Form {
    /// Writes a message other than an event. What a form has no words for is left out.
    pub(crate) fn say(self, message: &ServerMessage, out: &mut Outbox) {
        match self {
            Self::Demo => {}
            Self::V1 => text(message.to_json().as_bytes(), out),
            Self::Sse => {
                if let Some(event) = sse_event(message) {
                    out.push(event);
                }
            }
        }
    }

    /// Several messages at once, in one frame where the form has frames.
    pub(crate) fn say_all(self, messages: &[ServerMessage], out: &mut Outbox) {
        match (self, messages) {
            (_, []) | (Self::Demo, _) => {}
            (Self::V1, [_, _, ..]) => {
                let json =
                    serde_json::to_string(messages).expect("messages have no map keys that could fail");
                text(json.as_bytes(), out);
            }
            (_, messages) => messages.iter().for_each(|message| self.say(message, out)),
        }
    }

    /// What a connection begins with, before any message.
    pub(crate) fn begin(self, session: u64, out: &mut Outbox) {
        if self == Self::Sse {
            out.push(format!("retry: {}\n\n", SSE_RETRY_MS + session % SSE_RETRY_MS).into_bytes());
        }
    }

    /// A sign of life that the peer must answer, where the form has one.
    pub(crate) fn ping(self) -> &'static [u8] {
        match self {
            Self::Demo | Self::V1 => ws_frame::PING,
            Self::Sse => b": ping\n\n",
        }
    }

    /// The last bytes of a connection.
    pub(crate) fn end(self, close: Close, out: &mut Outbox) {
        if self != Self::Sse {
            out.push(ws_frame::close(close));
        }
    }
}

/// Appends a reading as a server-sent event. JSON text holds no line break, so no value can end the field.
pub(crate) fn write_sse(pos: Option<Position>, data: &[u8], out: &mut Vec<u8>) {
    if let Some(pos) = pos {
        out.extend_from_slice(format!("id: {pos}\n").as_bytes());
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}

/// A named event with the message's body. `hello`, `ok` and `pong` have none: a stream is one subscription.
fn sse_event(message: &ServerMessage) -> Option<Vec<u8>> {
    let ServerMessage { live, mark, gap, bye, error, .. } = message;
    let (name, id, body) = match (live, mark, gap, bye, error) {
        (Some(live), ..) => ("live", Some(live.pos), json(live)),
        (_, Some(mark), ..) => ("mark", Some(mark.pos), json(mark)),
        (_, _, Some(gap), ..) => ("gap", Some(gap.to), json(gap)),
        (_, _, _, Some(bye), _) => ("bye", None, json(bye)),
        (.., Some(error)) => ("error", None, json(error)),
        _ => return None,
    };
    let mut event = format!("event: {name}\n").into_bytes();
    write_sse(id, body.as_bytes(), &mut event);
    Some(event)
}

fn json(body: &impl serde::Serialize) -> String {
    serde_json::to_string(body).expect("messages have no map keys that could fail")
}

/// A text frame.
pub(crate) fn text(json: &[u8], out: &mut Outbox) {
    let mut frame = Vec::with_capacity(json.len() + ws_frame::MAX_HEADER);
    ws_frame::write_text(json, &mut frame);
    out.push(frame);
}

/// An event of mode `latest`, which carries no position.
pub(crate) fn write_latest(form: Form, sub: u32, merged: u64, data: &[u8], out: &mut Vec<u8>) {
    match form {
        Form::Sse => {
            if merged > 0 {
                out.extend_from_slice(format!(": merged {merged}\n").as_bytes());
            }
            write_sse(None, data, out);
        }
        Form::Demo | Form::V1 => frame::write_latest_event(sub, merged, data, out),
    }
}

#[cfg(test)]
mod tests {
    use wire::{
        Epoch, Tick,
        frame::{Live, Mark},
    };

    use super::*;

    fn written(message: &ServerMessage) -> String {
        let mut out = Outbox::default();
        Form::Sse.say(message, &mut out);
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
