//! Work on large bodies: a few at a time, beside the threads that serve connections.

use std::thread::available_parallelism;

use tokio::{sync::Semaphore, task::block_in_place};

/// What is smaller takes less time than it takes to make way for others: about 0.2 ms.
const LARGE: usize = 32 << 10;

/// The right to such work.
pub(crate) struct Large(Semaphore);

impl Large {
    /// For half of the processors, and for one at least.
    pub(crate) fn new() -> Self {
        Self(Semaphore::new((available_parallelism().map_or(1, usize::from) / 2).max(1)))
    }

    /// Does the work on so many bytes. Other requests of the thread are served meanwhile.
    pub(crate) async fn run<T>(&self, bytes: usize, work: impl FnOnce() -> T) -> T {
        if bytes < LARGE {
            return work();
        }
        // it is never closed
        let _turn = self.0.acquire().await;
        block_in_place(work)
    }
}
