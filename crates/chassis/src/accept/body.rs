//! A request body that must arrive in time.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// Ends with an error when the body is not complete by its deadline, and sets a mark: the client then gets 408 and not
/// the handler's response to a broken body.
pub(super) struct TimedBody {
    inner: Incoming,
    deadline: Instant,
    /// Created at the first wait: most bodies arrive with their head.
    alarm: Option<Pin<Box<Sleep>>>,
    late: Late,
}

/// Whether a body was too late.
#[derive(Clone, Default)]
pub(super) struct Late(Arc<AtomicBool>);

impl Late {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body took too long to arrive")]
    Late,
    #[error("the body did not arrive")]
    Broken(#[source] hyper::Error),
}

impl TimedBody {
    pub(super) fn new(inner: Incoming, deadline: Instant, late: Late) -> Self {
        Self { inner, deadline, alarm: None, late }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Broken)));
        }
        let deadline = this.deadline;
        let alarm = this.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        std::task::ready!(alarm.as_mut().poll(cx));
        this.late.0.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Err(BodyError::Late)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
