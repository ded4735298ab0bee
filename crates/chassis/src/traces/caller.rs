//! The caller's trace where no spans are made: it is passed on with the work, and in the logs.

use std::cell::RefCell;

use opentelemetry::trace::SpanContext;

thread_local! {
    /// That of the request that is being polled on this thread.
    static CURRENT: RefCell<Option<SpanContext>> = const { RefCell::new(None) };
}

/// The trace of a request's caller.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(super) SpanContext);

/// Until it is dropped, the caller's trace is the current one.
#[must_use]
pub(crate) struct Entered(Option<SpanContext>);

impl Caller {
    /// While the request is polled.
    pub(crate) fn enter(&self) -> Entered {
        Entered(CURRENT.replace(Some(self.0.clone())))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

/// The trace of the caller whose request is being polled.
pub(super) fn current() -> Option<SpanContext> {
    CURRENT.with_borrow(Clone::clone)
}
