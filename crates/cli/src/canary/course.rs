//! What became of each reading of the canary: sent, stored, arrived at each gateway, or lost. No socket and no clock.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// Readings on their way.
#[derive(Debug)]
pub(crate) struct Course {
    sent: VecDeque<Sent>,
    next: u64,
    followers: Vec<Follower>,
    /// A reading that has not arrived within this time is lost.
    lost_after: Duration,
}

#[derive(Debug)]
struct Sent {
    number: u64,
    at: Instant,
    /// Whether ingest has said so; an attempt without an answer may or may not have stored it.
    is_stored: bool,
    /// Whether it came, by follower; what a follower did not subscribe to in time is not awaited.
    arrived: Vec<bool>,
}

/// The subscription at one gateway.
#[derive(Debug, Clone, Default)]
struct Follower {
    is_attached: bool,
    /// The last number that arrived.
    last: u64,
}

/// A reading came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Since its POST began; `None` if it had been given up before, or had come already.
    pub(crate) after: Option<Duration>,
    /// Whether it came behind all that were sent before it, and once.
    pub(crate) in_order: bool,
}

impl Course {
    /// Nothing sent yet, and so many gateways to arrive at.
    pub(crate) fn new(followers: usize, lost_after: Duration) -> Self {
        Self { sent: VecDeque::new(), next: 1, followers: vec![Follower::default(); followers], lost_after }
    }

    /// The subscription at a gateway is live, and is resumed from now on.
    pub(crate) fn attach(&mut self, follower: usize) {
        self.followers[follower].is_attached = true;
    }

    /// Whether all are.
    pub(crate) fn is_attached(&self) -> bool {
        self.followers.iter().all(|follower| follower.is_attached)
    }

    /// The next reading is sent; its number.
    pub(crate) fn send(&mut self, now: Instant) -> u64 {
        let number = self.next;
        self.next += 1;
        let arrived = self.followers.iter().map(|follower| !follower.is_attached).collect();
        self.sent.push_back(Sent { number, at: now, is_stored: false, arrived });
        number
    }

    /// Ingest says that it is stored.
    pub(crate) fn store(&mut self, number: u64) {
        if let Some(sent) = self.sent.iter_mut().find(|sent| sent.number == number) {
            sent.is_stored = true;
        }
    }

    /// It came from a gateway.
    pub(crate) fn arrive(&mut self, follower: usize, number: u64, now: Instant) -> Arrival {
        let last = std::mem::replace(&mut self.followers[follower].last, number);
        self.followers[follower].last = last.max(number);
        let sent = self.sent.iter_mut().find(|sent| sent.number == number);
        let after = sent.and_then(|sent| {
            let again = std::mem::replace(&mut sent.arrived[follower], true);
            (!again).then(|| now - sent.at)
        });
        Arrival { after, in_order: number > last }
    }

    /// The readings whose time is over, by the gateways at which they have not arrived though they are stored. Those are no longer
    /// awaited.
    pub(crate) fn overdue(&mut self, now: Instant) -> Vec<(u64, Vec<usize>)> {
        let mut lost = Vec::new();
        while let Some(sent) = self.sent.pop_front_if(|sent| now >= sent.at + self.lost_after) {
            let missing = sent.arrived.iter().enumerate().filter(|(_, arrived)| !**arrived);
            let missing: Vec<usize> = missing.map(|(follower, _)| follower).collect();
            if sent.is_stored && !missing.is_empty() {
                lost.push((sent.number, missing));
            }
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn attached(followers: usize) -> Course {
        let mut course = Course::new(followers, 10 * SECOND);
        (0..followers).for_each(|follower| course.attach(follower));
        course
    }

    #[test]
    fn a_reading_arrives_once_at_each_gateway() {
        let (mut course, start) = (attached(2), Instant::now());
        let number = course.send(start);
        course.store(number);
        let arrival = |after: u32, in_order| Arrival { after: Some(after * SECOND), in_order };
        assert_eq!(course.arrive(0, number, start + SECOND), arrival(1, true));
        assert_eq!(
            course.arrive(0, number, start + SECOND),
            Arrival { after: None, in_order: false },
            "again"
        );
        assert_eq!(course.overdue(start + 9 * SECOND), []);
        assert_eq!(course.overdue(start + 10 * SECOND), [(number, vec![1])], "the other one never got it");
        assert_eq!(
            course.arrive(1, number, start + 11 * SECOND),
            Arrival { after: None, in_order: true },
            "too late"
        );
    }

    #[test]
    fn a_reading_that_overtakes_is_out_of_order() {
        let (mut course, start) = (attached(1), Instant::now());
        let (first, second) = (course.send(start), course.send(start));
        assert!(course.arrive(0, second, start).in_order);
        assert!(!course.arrive(0, first, start).in_order);
        let third = course.send(start);
        assert!(course.arrive(0, third, start).in_order);
    }

    #[test]
    fn what_was_not_stored_or_not_subscribed_to_is_not_lost() {
        let (mut course, start) = (Course::new(2, 10 * SECOND), Instant::now());
        course.attach(0);
        assert!(!course.is_attached());
        course.send(start);
        let stored = course.send(start);
        course.store(stored);
        assert_eq!(course.overdue(start + 10 * SECOND), [(stored, vec![0])]);
    }
}
