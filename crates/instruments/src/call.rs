//! The time and the outcome of a call to a server.

use std::time::{Duration, Instant};

use prometheus::{Histogram, IntCounter};

/// A call that is running. One that ends is timed; one that is dropped after its limit, while no answer had come, counts as an
/// error. Dropped earlier it is neither: whoever wanted the answer has left.
#[derive(Debug)]
#[must_use = "a call that is dropped has not ended"]
pub struct Call {
    duration: Histogram,
    errors: IntCounter,
    began: Instant,
    limit: Duration,
    ended: bool,
}

impl Call {
    /// Begins now; without an answer it is an error after `limit`.
    pub fn begin(duration: &Histogram, errors: &IntCounter, limit: Duration) -> Self {
        let (duration, errors) = (duration.clone(), errors.clone());
        Self { duration, errors, began: Instant::now(), limit, ended: false }
    }

    /// It has ended, and whether it failed.
    pub fn end(mut self, failed: bool) {
        self.ended = true;
        self.duration.observe(self.began.elapsed().as_secs_f64());
        if failed {
            self.errors.inc();
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.ended && self.began.elapsed() >= self.limit {
            self.errors.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::HistogramOpts;

    use super::*;

    #[track_caller]
    fn check(limit: Duration, end: impl FnOnce(Call), timed: u64, failed: u64) {
        let duration = Histogram::with_opts(HistogramOpts::new("duration", "duration")).unwrap();
        let errors = IntCounter::new("errors", "errors").unwrap();
        end(Call::begin(&duration, &errors, limit));
        assert_eq!((duration.get_sample_count(), errors.get()), (timed, failed));
    }

    #[test]
    fn an_answer_is_timed_and_silence_is_an_error_only_after_the_limit() {
        check(Duration::MAX, |call| call.end(false), 1, 0);
        check(Duration::MAX, |call| call.end(true), 1, 1);
        check(Duration::ZERO, |call| call.end(false), 1, 0);
        check(Duration::ZERO, drop, 0, 1);
        check(Duration::MAX, drop, 0, 0);
    }
}
