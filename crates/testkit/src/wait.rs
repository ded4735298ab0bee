//! Waiting for a condition instead of for a time.

use std::{
    fmt::Debug,
    future::Future,
    time::{Duration, Instant},
};

/// How often a condition is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Calls `check` until it returns `Ok`, and returns that; panics with its last `Err` when the deadline passes.
#[track_caller]
pub fn wait_for<T, E, F, Fut>(what: &str, deadline: Duration, mut check: F) -> impl Future<Output = T>
where
    E: Debug,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let caller = std::panic::Location::caller();
    async move {
        let until = Instant::now() + deadline;
        loop {
            match check().await {
                Ok(value) => return value,
                Err(state) if Instant::now() > until => {
                    panic!("{what} did not come within {deadline:?} ({caller}); last state: {state:?}")
                }
                Err(_) => tokio::time::sleep(POLL_INTERVAL).await,
            }
        }
    }
}
