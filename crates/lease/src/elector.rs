//! The election as a pure state machine: from an event and the current time of the local clock to the next step.
//!
//! Times that other machines wrote are never used. What counts is how long this candidate has seen the Lease unchanged,
//! and when it sent the request that renewed it: the others cannot have seen that renewal before.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::Timing;

/// The object's `resourceVersion`: two that differ are two states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(pub String);

/// The content of a Lease.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// The holder, `pod/life`; a pod's container may be started several times.
    pub holder: Option<String>,
    /// How often it was taken (`leaseTransitions`): each leadership has a number of its own.
    pub term: u64,
    /// How long others must respect it without a renewal.
    pub duration: Duration,
}

/// A Lease as it was read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its state.
    pub version: Version,
    /// Its content.
    pub record: Record,
}

/// An input of the state machine.
#[derive(Debug, Clone)]
pub enum Event {
    /// A wait is over.
    Due,
    /// The Lease, if there is one.
    Read(Option<Seen>),
    /// A write succeeded.
    Written(Seen),
    /// A write met another state than the one it was to replace.
    Refused,
    /// The API gave no answer, or no usable one.
    Failed,
    /// The leader's work is not being done, as far as this candidate sees.
    Claim,
    /// The process stops.
    Stop,
}

/// An output of the state machine. Each step but the last results in one [`Event`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Read the Lease.
    Read,
    /// Replace this state, or create the object.
    Write {
        /// The state.
        over: Option<Version>,
        /// The new content.
        record: Record,
    },
    /// Wait until then.
    Wait(Instant),
    /// There is nothing more to do.
    Done,
}

/// Why the Lease was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// There was none, or it had no holder.
    Free,
    /// Its holder had not renewed it in time.
    Expired,
    /// Its holder was an earlier life of this pod, or this process itself.
    Own,
    /// Its holder had stalled.
    Claimed,
    /// The API is unreachable for all candidates: the last holder continues.
    Interim,
}

/// The right to lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The Lease's transitions when it was taken.
    pub term: u64,
    /// When it ends, unless it is renewed.
    pub until: Instant,
    /// Why it was granted.
    pub by: Change,
    /// The number of the grant; each is handed out once.
    pub grant: u64,
}

/// The state of the election as this candidate sees it.
#[derive(Debug)]
pub struct Elector {
    pod: String,
    identity: String,
    timing: Timing,
    /// The Lease as it was last seen, and since when.
    observed: Option<(Seen, Instant)>,
    /// Since when the observed holder has held it, as far as was seen.
    holder_since: Option<Instant>,
    held: Option<Held>,
    grants: u64,
    /// The highest term that was seen or written: a Lease that was deleted by hand continues after it.
    highest: u64,
    /// The holder from which it was taken.
    previous: Option<String>,
    /// When the last write was sent, and why, if it was to take the Lease.
    sent: Option<(Instant, Option<Change>)>,
    /// A write was sent whose outcome is unknown.
    doubtful: bool,
    /// The number of writes refused since the last wait.
    refused: u32,
    /// Since when no own write has succeeded and none of another candidate was seen.
    silent_since: Option<Instant>,
    /// When the Lease is read or renewed next.
    due: Option<Instant>,
    claiming: bool,
    stopping: bool,
}

impl Elector {
    /// A candidate: its pod, and a name of this process that no other process of the pod has.
    pub fn new(pod: &str, life: &str, timing: Timing) -> Self {
        Self {
            pod: pod.to_owned(),
            identity: format!("{pod}/{life}"),
            timing,
            observed: None,
            holder_since: None,
            held: None,
            grants: 0,
            highest: 0,
            previous: None,
            sent: None,
            doubtful: false,
            refused: 0,
            silent_since: None,
            due: None,
            claiming: false,
            stopping: false,
        }
    }

    /// The holder before this candidate took the Lease.
    pub fn previous(&self) -> Option<&str> {
        self.previous.as_deref()
    }

    /// The right to lead, as long as it holds.
    pub fn held(&self, now: Instant) -> Option<Held> {
        self.held.filter(|held| now < held.until)
    }

    /// The next step after an event.
    pub fn next(&mut self, event: Event, now: Instant) -> Step {
        self.held = self.held(now);
        match event {
            Event::Due => self.due(now),
            Event::Read(seen) => self.read(seen, now),
            Event::Written(seen) => self.written(seen, now),
            Event::Refused => self.refused(now),
            Event::Failed => self.failed(now),
            Event::Claim => self.claim(now),
            Event::Stop => self.stop(),
        }
    }

    fn due(&mut self, now: Instant) -> Step {
        match (self.held, &self.observed) {
            (Some(Held { by: Change::Interim, .. }), _) | (None, _) | (_, None) => Step::Read,
            (Some(held), Some((seen, _))) => {
                let over = Some(seen.version.clone());
                self.write(over, held.term, None, now)
            }
        }
    }

    fn read(&mut self, seen: Option<Seen>, now: Instant) -> Step {
        self.doubtful = false;
        let Some(seen) = seen else {
            // deleted by hand: the leadership is lost, and the numbering continues
            (self.held, self.holder_since, self.observed) = (None, None, None);
            let term = self.highest + 1;
            return if self.stopping { Step::Done } else { self.write(None, term, Some(Change::Free), now) };
        };
        self.observe(seen.clone(), now);
        let own = self.is_own(&seen);
        if !own {
            self.silent_since = None;
        }
        if self.stopping {
            return if own { self.release(&seen) } else { Step::Done };
        }
        match self.held {
            // until the Lease names a holder again no other candidate has it, and the work continues
            Some(Held { by: Change::Interim, .. }) if own => {
                self.write(Some(seen.version), seen.record.term + 1, Some(Change::Own), now)
            }
            // an earlier renewal had succeeded after all
            Some(held) if own && held.term == seen.record.term => {
                self.write(Some(seen.version), held.term, None, now)
            }
            _ => {
                self.held = None;
                match self.opening(&seen, now) {
                    Some(why) => self.write(Some(seen.version), seen.record.term + 1, Some(why), now),
                    None => self.wait(now),
                }
            }
        }
    }

    fn is_own(&self, seen: &Seen) -> bool {
        seen.record.holder.as_deref() == Some(self.identity.as_str())
    }

    /// Why the Lease may be taken, if it may.
    fn opening(&self, seen: &Seen, now: Instant) -> Option<Change> {
        let holder = seen.record.holder.as_deref().filter(|holder| !holder.is_empty());
        let unchanged = self.observed.as_ref().map_or(Duration::ZERO, |(_, since)| now - *since);
        let tenure = self.holder_since.map_or(Duration::ZERO, |since| now - since);
        match holder {
            None => Some(Change::Free),
            Some(holder) if holder.split('/').next() == Some(self.pod.as_str()) => Some(Change::Own),
            Some(_) if unchanged >= self.timing.duration.max(seen.record.duration) => Some(Change::Expired),
            // a new holder keeps it for its duration, so that the Lease does not move back and forth
            Some(_) if self.claiming && tenure >= self.timing.duration => Some(Change::Claimed),
            Some(_) => None,
        }
    }

    fn written(&mut self, seen: Seen, now: Instant) -> Step {
        (self.silent_since, self.doubtful) = (None, false);
        let (sent, taken) = self.sent.take().unwrap_or((now, None));
        if self.stopping {
            return Step::Done;
        }
        let until = sent + self.timing.renew_deadline;
        if let Some(by) = taken {
            self.previous = self.observed.as_ref().and_then(|(before, _)| before.record.holder.clone());
            self.grant(seen.record.term, until, by);
        } else if let Some(held) = &mut self.held {
            held.until = until;
        }
        self.observe(seen, now);
        // a renewal whose answer arrived after the deadline renews nothing
        self.held = self.held(now);
        self.wait(now)
    }

    fn grant(&mut self, term: u64, until: Instant, by: Change) {
        self.grants += 1;
        self.held = Some(Held { term, until, by, grant: self.grants });
    }

    /// Another candidate wrote, or an own write succeeded after all: reading shows which. If refused again, it is not a
    /// race but an API that refuses the write.
    fn refused(&mut self, now: Instant) -> Step {
        self.sent = None;
        self.refused += 1;
        match (self.refused, self.stopping) {
            (1, _) => Step::Read,
            (_, true) => Step::Done,
            (_, false) => self.failed(now),
        }
    }

    fn failed(&mut self, now: Instant) -> Step {
        self.doubtful |= self.sent.take().is_some();
        self.silent_since.get_or_insert(now);
        if self.stopping {
            return Step::Done;
        }
        if let Some(Held { by: Change::Interim, until, .. }) = &mut self.held {
            *until = now + self.timing.duration;
        }
        let wait = self.wait(now);
        if self.held.is_none() {
            return wait;
        }
        // there is time for another attempt before the deadline
        let soon = now + self.timing.retry / 4;
        self.due = Some(soon);
        Step::Wait(soon)
    }

    /// The work is not being done. A Lease that can be read is taken from its holder. When the API is unreachable for all
    /// candidates, none can be elected, so the last holder continues: it alone knows that it was the last, and it waits
    /// for as long as another candidate that reaches the API would have needed to take the Lease.
    fn claim(&mut self, now: Instant) -> Step {
        // a leader by the Lease does not claim; one that leads without it and claims has returned its leadership
        if self.held.is_some_and(|held| held.by != Change::Interim) || self.stopping {
            return self.keep_waiting(now);
        }
        let silent = self.silent_since.is_some_and(|since| now - since >= self.timing.duration);
        let last = self.observed.as_ref().filter(|(seen, _)| silent && self.is_own(seen));
        if let Some(term) = last.map(|(seen, _)| seen.record.term) {
            self.grant(term, now + self.timing.duration, Change::Interim);
            return self.keep_waiting(now);
        }
        self.claiming = true;
        Step::Read
    }

    fn stop(&mut self) -> Step {
        self.stopping = true;
        self.refused = 0;
        let held = self.held.take().is_some_and(|held| held.by != Change::Interim);
        match &self.observed {
            Some((seen, _)) if held => self.release(&seen.clone()),
            // it may still name this candidate as the holder
            Some((seen, _)) if self.doubtful || self.is_own(seen) => Step::Read,
            None if self.doubtful => Step::Read,
            _ => Step::Done,
        }
    }

    fn release(&mut self, seen: &Seen) -> Step {
        let record = Record { holder: None, duration: Duration::from_secs(1), term: seen.record.term };
        Step::Write { over: Some(seen.version.clone()), record }
    }

    fn write(&mut self, over: Option<Version>, term: u64, taken: Option<Change>, now: Instant) -> Step {
        self.sent = Some((now, taken));
        self.highest = self.highest.max(term);
        let holder = Some(self.identity.clone());
        Step::Write { over, record: Record { holder, term, duration: self.timing.duration } }
    }

    fn wait(&mut self, now: Instant) -> Step {
        (self.claiming, self.refused) = (false, 0);
        let mut until = now + self.timing.retry;
        // the Lease is checked at its expiry, not a retry later
        if let (None, Some((seen, since))) = (self.held, &self.observed) {
            let expiry = *since + self.timing.duration.max(seen.record.duration);
            if expiry > now {
                until = until.min(expiry);
            }
        }
        self.due = Some(until);
        Step::Wait(until)
    }

    fn keep_waiting(&self, now: Instant) -> Step {
        Step::Wait(self.due.unwrap_or(now))
    }

    fn observe(&mut self, seen: Seen, now: Instant) {
        let before = self.observed.as_ref().map(|(seen, _)| seen);
        if before.map(|before| &before.version) == Some(&seen.version) {
            return;
        }
        let same = before.is_some_and(|before| {
            (&before.record.holder, before.record.term) == (&seen.record.holder, seen.record.term)
        });
        if !same {
            self.holder_since = Some(now);
        }
        self.highest = self.highest.max(seen.record.term);
        self.observed = Some((seen, now));
    }
}
