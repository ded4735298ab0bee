//! A lasting fault: its first failure is logged at once, then a count every half minute, then its end.

use std::error::Error;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use crate::chain::chain;

/// Between two lines about the same fault.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// The state of an operation that may fail repeatedly.
#[derive(Debug)]
pub struct Outage {
    /// Names what fails, as the log lines do: `the feed`.
    name: &'static str,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    began_at: Instant,
    logged_at: Instant,
    cause: String,
    /// Failures that are not logged yet.
    unlogged: u64,
}

impl Outage {
    /// Without a failure.
    pub fn new(name: &'static str) -> Self {
        Self { name, current: None }
    }

    /// Notes a failure: the first, a repeated one, or one of another cause. Returns the cause as one line.
    pub fn fails(&mut self, error: &(dyn Error + 'static)) -> String {
        let (now, cause, name) = (Instant::now(), chain(error).to_string(), self.name);
        match &mut self.current {
            Some(current) if current.cause == cause && now < current.logged_at + LOG_INTERVAL => {
                current.unlogged += 1
            }
            current => {
                let began_at = current.as_ref().map_or(now, |current| current.began_at);
                let again = current.as_ref().map_or(0, |current| current.unlogged);
                let lasted_s = (now - began_at).as_secs();
                warn!(error = cause, again, lasted_s, "{name} failed");
                *current = Some(Current { began_at, logged_at: now, cause: cause.clone(), unlogged: 0 });
            }
        }
        cause
    }

    /// Notes a success, which ends the outage.
    pub fn ends(&mut self) {
        if let Some(Current { began_at, .. }) = self.current.take() {
            let lasted_s = began_at.elapsed().as_secs_f64();
            info!(lasted_s, "{} recovered", self.name);
        }
    }

    /// How long it has been failing, if it is.
    pub fn lasted(&self) -> Option<Duration> {
        self.current.as_ref().map(|current| current.began_at.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_fault_that_lasts_is_counted_and_not_repeated() {
        let is_logged = |outage: &Outage| outage.current.as_ref().unwrap().unlogged == 0;
        let error = |text: &str| std::io::Error::other(text.to_owned());
        let mut outage = Outage::new("the feed");
        let mut lines = 0;
        for _ in 0..300 {
            outage.fails(&error("refused"));
            lines += u32::from(is_logged(&outage));
            tokio::time::advance(Duration::from_millis(200)).await;
        }
        assert_eq!(lines, 2, "in a minute: the first, and one after half of it");
        outage.fails(&error("NOPERM"));
        assert!(is_logged(&outage), "another cause is logged");
        assert_eq!(outage.lasted(), Some(Duration::from_secs(60)));
        outage.ends();
        assert_eq!(outage.lasted(), None);
    }
}
