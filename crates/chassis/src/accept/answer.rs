//! The body of a response, whose bytes are counted until the peer has taken them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::flow::Flow;

/// A body is passed on in pieces of one HTTP/2 frame, since hyper takes a whole frame as soon as the peer's window allows
/// one byte.
const PIECE_BYTES: usize = 16 << 10;

/// Responses in HTTP/1, one at a time, are counted from this size on; in HTTP/2 all are.
const COUNTED_BYTES: u64 = 16 << 10;

/// The bytes of one permit.
const UNIT_BYTES: u64 = 1 << 10;

/// One connection may take this fraction of the budget: HTTP/2 carries many responses at a time.
const SHARE: usize = 8;

/// In the extensions of a streamed response: the most bytes that it buffers at a time. They are counted like those of a
/// response that is buffered whole.
#[derive(Debug, Clone, Copy)]
pub struct Holds(pub usize);

/// The bytes of responses that may wait for their peers, in total.
#[derive(Clone)]
pub(super) struct AnswerBudget {
    all: Arc<Semaphore>,
    share: usize,
}

/// The same for the responses of one connection.
pub(super) struct Share {
    all: Arc<Semaphore>,
    own: Arc<Semaphore>,
    units: usize,
    counted_bytes: u64,
}

/// A response's permits of both.
pub(super) struct AnswerPermit {
    _all: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
}

impl AnswerBudget {
    pub(super) fn new(bytes: usize) -> Self {
        let units = (bytes as u64 / UNIT_BYTES) as usize;
        Self { all: Arc::new(Semaphore::new(units)), share: units / SHARE }
    }

    pub(super) fn share(&self, is_http2: bool) -> Share {
        let counted_bytes = if is_http2 { 1 } else { COUNTED_BYTES };
        let own = Arc::new(Semaphore::new(self.share));
        Share { all: self.all.clone(), own, units: self.share, counted_bytes }
    }
}

impl Share {
    /// A permit for this response, if there is budget; `Ok(None)` where it needs none. A response that is larger than the
    /// share is permitted alone.
    pub(super) fn take(&self, response: &Response) -> Result<Option<AnswerPermit>, BudgetExceeded> {
        let held = response.extensions().get().map(|Holds(bytes)| *bytes as u64);
        let bytes = held.or_else(|| response.body().size_hint().exact()).unwrap_or(0);
        if bytes < self.counted_bytes {
            return Ok(None);
        }
        let units = bytes.div_ceil(UNIT_BYTES);
        let take = |budget: &Arc<Semaphore>, units: u64| {
            let units = u32::try_from(units).map_err(|_| BudgetExceeded)?;
            budget.clone().try_acquire_many_owned(units).map_err(|_| BudgetExceeded)
        };
        let own = take(&self.own, units.min(self.units as u64))?;
        Ok(Some(AnswerPermit { _all: take(&self.all, units)?, _own: own }))
    }
}

pub(super) struct BudgetExceeded;

/// A request that is being answered; the connection counts as busy until it is dropped.
pub(super) struct OpenRequest(Arc<Flow>);

impl OpenRequest {
    pub(super) fn new(flow: Arc<Flow>) -> Self {
        flow.opened();
        Self(flow)
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.closed();
    }
}

pub(super) struct AnswerBody {
    inner: Body,
    /// The rest of the last frame.
    rest: Bytes,
    /// Whether a piece was passed on and is not taken yet.
    offered: bool,
    open: OpenRequest,
    _permit: Option<AnswerPermit>,
}

impl AnswerBody {
    pub(super) fn new(inner: Body, open: OpenRequest, permit: Option<AnswerPermit>) -> Self {
        Self { inner, rest: Bytes::new(), offered: false, open, _permit: permit }
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
        // a poll for the next piece means that the one before was taken
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
