//! What befell an elector once, or nearly did, event by event.

use std::time::Duration;

use lease::{Change, Elector, Event, Held, Record, Seen, Step, Timing, Version};
use tokio::time::Instant;

/// An elector, its clock, and the Lease as the API has it.
struct Story {
    elector: Elector,
    now: Instant,
    lease: Option<Seen>,
}

impl Story {
    fn new() -> Self {
        Self { elector: Elector::new("a", "1", Timing::default()), now: Instant::now(), lease: None }
    }

    /// One that has taken the Lease.
    fn leading() -> Self {
        let mut story = Self::new();
        let step = story.tell(Event::Due);
        let step = story.carry_out(step);
        let Step::Wait(_) = step else { panic!("{step:?}") };
        assert_eq!(story.held().map(|held| (held.term, held.by)), Some((1, Change::Free)));
        story
    }

    fn tell(&mut self, event: Event) -> Step {
        self.elector.next(event, self.now)
    }

    fn after(&mut self, seconds: f64) -> &mut Self {
        self.now += Duration::from_secs_f64(seconds);
        self
    }

    fn held(&self) -> Option<Held> {
        self.elector.held(self.now)
    }

    fn write(&mut self, over: Option<Version>, record: Record) -> Event {
        if over != self.lease.as_ref().map(|seen| seen.version.clone()) {
            return Event::Refused;
        }
        let number: u64 = over.map_or(0, |Version(number)| number.parse().expect("a number"));
        let seen = Seen { version: Version((number + 1).to_string()), record };
        self.lease = Some(seen.clone());
        Event::Written(seen)
    }

    /// Lets the API answer until the elector waits or is done.
    fn carry_out(&mut self, mut step: Step) -> Step {
        loop {
            let event = match step {
                Step::Read => Event::Read(self.lease.clone()),
                Step::Write { over, record } => self.write(over, record),
                step @ (Step::Wait(_) | Step::Done) => return step,
            };
            step = self.tell(event);
        }
    }

    /// Lets every request fail for so long.
    fn silence(&mut self, seconds: f64) {
        let end = self.now + Duration::from_secs_f64(seconds);
        let mut event = Event::Due;
        while self.now < end {
            event = match self.tell(event) {
                Step::Wait(until) => {
                    self.now = until.max(self.now);
                    Event::Due
                }
                _ => {
                    self.after(1.0);
                    Event::Failed
                }
            };
        }
    }

    /// Nobody else holds it, and this candidate says that nobody forwards.
    fn interim(&mut self) -> Held {
        self.silence(9.0);
        assert_eq!(self.held(), None, "it has ended by itself");
        self.tell(Event::Claim);
        let held = self.held().expect("the last holder goes on");
        assert_eq!(held.by, Change::Interim);
        held
    }
}

#[test]
fn the_interim_lasts_as_long_as_the_api_is_away() {
    let mut story = Story::leading();
    story.interim();
    story.silence(600.0);
    assert_eq!(story.held().map(|held| held.by), Some(Change::Interim));
    let step = story.tell(Event::Due);
    story.carry_out(step);
    assert_eq!(story.held().map(|held| (held.term, held.by)), Some((2, Change::Own)), "and ends with it");
}

#[test]
fn an_interim_that_was_given_back_is_granted_anew() {
    let mut story = Story::leading();
    let first = story.interim();
    story.after(0.25).tell(Event::Claim);
    let second = story.held().expect("a claim says that nobody forwards");
    assert_ne!(first.grant, second.grant, "a leadership that is handed out once would never come again");
}

#[test]
fn an_api_that_reads_and_does_not_write_does_not_end_the_interim() {
    let mut story = Story::leading();
    story.interim();
    for _ in 0..100 {
        let Step::Read = story.after(1.0).tell(Event::Due) else { panic!("it looks") };
        let Step::Write { .. } = story.tell(Event::Read(story.lease.clone())) else { panic!("it tries") };
        story.tell(Event::Failed);
        assert_eq!(story.held().map(|held| held.by), Some(Change::Interim));
    }
}

#[test]
fn an_api_that_reads_and_does_not_write_leaves_the_last_holder_at_work() {
    let mut story = Story::leading();
    for _ in 0..12 {
        story.after(1.0).tell(Event::Due);
        if let Step::Read = story.tell(Event::Refused) {
            story.tell(Event::Read(story.lease.clone()));
            story.tell(Event::Failed);
        }
    }
    story.tell(Event::Claim);
    assert_eq!(story.held().map(|held| held.by), Some(Change::Interim));
}

#[test]
fn an_api_that_refuses_for_ever_is_not_asked_without_a_pause() {
    let mut story = Story::new();
    let mut step = story.tell(Event::Due);
    let mut asked = 0;
    while !matches!(step, Step::Wait(_)) {
        asked += 1;
        assert!(asked < 10, "a stop is seen only while it waits");
        step = match step {
            Step::Read => story.tell(Event::Read(None)),
            _ => story.tell(Event::Refused),
        };
    }
}

#[test]
fn a_renewal_that_hangs_does_not_end_a_leadership() {
    let mut story = Story::leading();
    story.after(1.0).tell(Event::Due);
    let step = story.after(1.0).tell(Event::Failed);
    let Step::Wait(until) = step else { panic!("{step:?}") };
    story.now = until;
    let step = story.tell(Event::Due);
    story.carry_out(step);
    assert_eq!(story.after(2.0).held().map(|held| held.term), Some(1));
}

#[test]
fn a_renewal_whose_answer_was_lost_does_not_keep_the_lease_at_the_end() {
    let mut story = Story::leading();
    let Step::Write { over, record } = story.after(1.0).tell(Event::Due) else { panic!("it renews") };
    story.write(over, record);
    story.after(1.0).tell(Event::Failed);
    let step = story.tell(Event::Stop);
    assert_eq!(story.carry_out(step), Step::Done);
    assert_eq!(story.lease.expect("a Lease").record.holder, None, "it is released");
}

#[test]
fn a_lease_that_was_deleted_goes_on_counting() {
    let mut story = Story::leading();
    for term in 2..5 {
        story.lease = None;
        let step = story.after(1.0).tell(Event::Due);
        // the first answer is lost, and the Lease with it
        let Step::Read = story.tell(Event::Refused) else { panic!("{step:?}") };
        let Step::Write { record, .. } = story.tell(Event::Read(None)) else { panic!("it makes one") };
        assert_eq!(record.term, term);
        story.tell(Event::Failed);
    }
}
