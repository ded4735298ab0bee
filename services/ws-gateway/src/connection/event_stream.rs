//! A stream of server-sent events as a peer: the body of an HTTP response.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc;

use super::peer::{Peer, PeerEvent};
use crate::outbox::Outbox;

/// Bytes of one chunk of the body, about.
const CHUNK_BYTES: usize = 16 << 10;

/// This side of the body.
pub(crate) struct EventStream {
    chunks: mpsc::Sender<Bytes>,
}

/// The side that the HTTP connection reads; it ends when the other is dropped, and the other sees when it is.
pub(crate) struct EventBody {
    chunks: mpsc::Receiver<Bytes>,
}

/// Both sides. One chunk waits between them: what waits longer waits in the outbox, where it is counted.
pub(crate) fn event_stream() -> (EventStream, EventBody) {
    let (sender, receiver) = mpsc::channel(1);
    (EventStream { chunks: sender }, EventBody { chunks: receiver })
}

impl Peer for EventStream {
    const ANSWERS_CLOSE: bool = false;

    async fn exchange(&mut self, out: &mut Outbox, _: bool) -> io::Result<PeerEvent> {
        if out.is_empty() {
            self.chunks.closed().await;
            return Ok(PeerEvent::Closed(None));
        }
        let Ok(slot) = self.chunks.reserve().await else { return Ok(PeerEvent::Closed(None)) };
        slot.send(out.take(CHUNK_BYTES));
        Ok(PeerEvent::Wrote)
    }
}

impl http_body::Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.chunks.poll_recv(cx).map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_joined_into_chunks_in_order() {
        let mut out = Outbox::default();
        for size in [10, 20, CHUNK_BYTES, 5, 6] {
            out.push(vec![size as u8; size]);
        }
        let mut sizes = Vec::new();
        while !out.is_empty() {
            sizes.push(out.take(CHUNK_BYTES).len());
        }
        assert_eq!(sizes, [30, CHUNK_BYTES, 11]);
        assert_eq!(out.bytes(), 0);
    }
}
