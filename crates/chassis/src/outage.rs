//! A fault that lasts: its first failure is told at once, then a count every half minute, then its end.

use std::error::Error;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use crate::chain::chain;

/// Between two lines about the same fault.
const TOLD_EVERY: Duration = Duration::from_secs(30);

/// What is known of one thing that may fail again and again.
#[derive(Debug)]
pub struct Outage {
    /// Names what fails, as the log lines do: `the feed`.
    name: &'static str,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    began_at: Instant,
    told_at: Instant,
    cause: String,
    /// Failures that no line has told yet.
    untold: u64,
}

impl Outage {
    /// Nothing has failed yet.
    pub fn new(name: &'static str) -> Self {
        Self { name, current: None }
    }

    /// It failed: once more, or for the first time, or for another cause. Gives the cause as one line.
    pub fn fails(&mut self, error: &(dyn Error + 'static)) -> String {
        let (now, cause, name) = (Instant::now(), chain(error).to_string(), self.name);
        match &mut self.current {
            Some(current) if current.cause == cause && now < current.told_at + TOLD_EVERY => {
                current.untold += 1
            }
            current => {
                let began_at = current.as_ref().map_or(now, |current| current.began_at);
                let again = current.as_ref().map_or(0, |current| current.untold);
                let lasted_s = (now - began_at).as_secs();
                warn!(error = cause, again, lasted_s, "{name} failed");
                *current = Some(Current { began_at, told_at: now, cause: cause.clone(), untold: 0 });
            }
        }
        cause
    }

    /// It works again.
    pub fn ends(&mut self) {
        if let Some(Current { began_at, .. }) = self.current.take() {
            let lasted_s = began_at.elapsed().as_secs_f64();
            info!(lasted_s, "{} recovered", self.name);
        }
    }

    /// How long it has failed.
    pub fn lasted(&self) -> Option<Duration> {
        self.current.as_ref().map(|current| current.began_at.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_fault_that_lasts_is_counted_and_not_repeated() {
        let told = |outage: &Outage| outage.current.as_ref().unwrap().untold == 0;
        let error = |text: &str| std::io::Error::other(text.to_owned());
        let mut outage = Outage::new("the feed");
        let mut lines = 0;
        for _ in 0..300 {
            outage.fails(&error("refused"));
            lines += u32::from(told(&outage));
            tokio::time::advance(Duration::from_millis(200)).await;
        }
        assert_eq!(lines, 2, "in a minute: the first, and one after half of it");
        outage.fails(&error("NOPERM"));
        assert!(told(&outage), "another cause is news");
        assert_eq!(outage.lasted(), Some(Duration::from_secs(60)));
        outage.ends();
        assert_eq!(outage.lasted(), None);
    }
}
