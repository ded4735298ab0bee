//! The memory of heads that are larger than most.

use std::io;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most bytes of one read in HTTP/1. hyper's buffer of 8 KiB doubles when a read fills it.
pub(super) const READ_BYTES: usize = (8 << 10) - 1;

/// How many connections may have heads for which that buffer must grow.
pub(super) const LARGE_HEADS: usize = 1_024;

/// The memory limit of heads.
pub(super) struct Heads {
    large: Arc<Semaphore>,
    /// Set once this connection had a large head, because its buffer does not shrink again.
    own: Option<OwnedSemaphorePermit>,
}

impl Heads {
    pub(super) fn new(large: Arc<Semaphore>) -> Self {
        Self { large, own: None }
    }

    /// Counts a head as large once it exceeds the buffer.
    pub(super) fn grow(&mut self, bytes: usize) -> io::Result<()> {
        if bytes > READ_BYTES && self.own.is_none() {
            let none_left =
                |_| io::Error::other("too many connections with more than 8 KiB of headers or handshake");
            self.own = Some(Arc::clone(&self.large).try_acquire_owned().map_err(none_left)?);
        }
        Ok(())
    }
}
