//! The right to lead, as a value that is held.

use std::sync::Arc;

use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use crate::elector::{Change, Held};

/// The elections, from which a process gets its leadership.
#[derive(Debug)]
pub struct Elections {
    pub(crate) held: watch::Receiver<Option<Held>>,
    pub(crate) handed: TaskTracker,
    pub(crate) claim: Arc<Notify>,
    /// The last leadership that was handed out.
    pub(crate) last: u64,
}

impl Elections {
    /// Returns when this candidate leads. Each leadership is handed out once: after an early return, this waits for the
    /// next one.
    pub async fn won(&mut self) -> Leadership {
        loop {
            let held = *self.held.borrow_and_update();
            match held {
                Some(held) if self.last != held.grant => {
                    self.last = held.grant;
                    return Leadership {
                        term: held.term,
                        by: held.by,
                        grant: held.grant,
                        held: self.held.clone(),
                        _handed: self.handed.token(),
                    };
                }
                _ => {}
            }
            if self.held.changed().await.is_err() {
                // without its candidate no election can be won, and the process is about to end
                std::future::pending::<()>().await;
            }
        }
    }

    /// Reports that the leader's work is not being done, as far as this process sees. A leader that has had the Lease for
    /// its duration is replaced.
    pub fn claim(&self) {
        self.claim.notify_one();
    }
}

/// Held by the leader. It ends by itself at the renew deadline, whatever the API or the candidate does.
#[derive(Debug)]
pub struct Leadership {
    term: u64,
    by: Change,
    grant: u64,
    held: watch::Receiver<Option<Held>>,
    /// While it exists, the Lease is not released.
    _handed: TaskTrackerToken,
}

impl Leadership {
    /// Its number: the Lease's transitions. No other leadership of this Lease object has it.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Why it was granted.
    pub fn by(&self) -> Change {
        self.by
    }

    /// Whether it is valid now.
    pub fn holds(&self) -> bool {
        self.until().is_some_and(|until| Instant::now() < until)
    }

    /// Returns when it has ended.
    pub async fn lost(&self) {
        let mut held = self.held.clone();
        while let Some(until) = self.until().filter(|until| Instant::now() < *until) {
            tokio::select! {
                () = sleep_until(until) => {}
                changed = held.changed() => if changed.is_err() { return },
            }
        }
    }

    fn until(&self) -> Option<Instant> {
        // the candidate has ended, so there are no more renewals
        self.held.has_changed().ok()?;
        let held = self.held.borrow();
        held.filter(|held| held.grant == self.grant).map(|held| held.until)
    }
}
