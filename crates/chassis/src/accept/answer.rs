//! A response's body on its way to the peer, counted until it is taken.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::flow::Flow;

/// A body is handed out in pieces, since hyper takes a whole frame when the peer has room for one byte: one of HTTP/2's
/// frames at a time.
const PIECE_BYTES: usize = 16 << 10;

/// Answers that are kept whole are counted from this size on.
const COUNTED_BYTES: u64 = 16 << 10;

/// Permits are for so many bytes each.
const UNIT_BYTES: u64 = 1 << 10;

/// The bytes of whole answers that may wait for their peers.
#[derive(Clone)]
pub(super) struct Room(Arc<Semaphore>);

impl Room {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((bytes as u64 / UNIT_BYTES) as usize)))
    }

    /// A place for this body, if there is room; `Ok(None)` where it needs none.
    pub(super) fn take(&self, body: &Body) -> Result<Option<OwnedSemaphorePermit>, NoRoom> {
        let Some(bytes @ COUNTED_BYTES..) = body.size_hint().exact() else { return Ok(None) };
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).map_err(|_| NoRoom)?;
        self.0.clone().try_acquire_many_owned(units).map(Some).map_err(|_| NoRoom)
    }
}

pub(super) struct NoRoom;

/// A request that is being answered; the connection is busy until it is dropped.
pub(super) struct Open(Arc<Flow>);

impl Open {
    pub(super) fn new(flow: Arc<Flow>) -> Self {
        flow.opened();
        Self(flow)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.closed();
    }
}

pub(super) struct AnswerBody {
    inner: Body,
    /// What of the last frame is to be handed out yet.
    rest: Bytes,
    /// A piece was handed out, and not taken yet.
    offered: bool,
    open: Open,
    _room: Option<OwnedSemaphorePermit>,
}

impl AnswerBody {
    pub(super) fn new(inner: Body, open: Open, room: Option<OwnedSemaphorePermit>) -> Self {
        Self { inner, rest: Bytes::new(), offered: false, open, _room: room }
    }

    fn set_offered(&mut self, offered: bool) {
        match (self.offered, offered) {
            (false, true) => self.open.0.offered(),
            (true, false) => self.open.0.taken(),
            _ => {}
        }
        self.offered = offered;
    }

    fn piece(&mut self) -> Frame<Bytes> {
        let length = self.rest.len().min(PIECE_BYTES);
        self.set_offered(true);
        Frame::data(self.rest.split_to(length))
    }
}

impl hyper::body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // who asks for the next has taken the one before
        self.set_offered(false);
        if self.rest.is_empty() {
            match std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        Poll::Ready(Some(Ok(self.piece())))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.inner.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(rest));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.set_offered(false);
    }
}
