//! Sequences of events that once were faults of the elector, or nearly were.

use std::time::Duration;

use lease::{Change, Elector, Event, Held, Record, Seen, Step, Timing, Version};
use tokio::time::Instant;

/// An elector, its clock, and the Lease as the API has it.
struct Fixture {
    elector: Elector,
    now: Instant,
    lease: Option<Seen>,
}

impl Fixture {
    fn new() -> Self {
        Self { elector: Elector::new("a", "1", Timing::default()), now: Instant::now(), lease: None }
    }

    /// One that has taken the Lease.
    fn leading() -> Self {
        let mut fixture = Self::new();
        let step = fixture.next(Event::Due);
        let step = fixture.execute(step);
        let Step::Wait(_) = step else { panic!("{step:?}") };
        assert_eq!(fixture.held().map(|held| (held.term, held.by)), Some((1, Change::Free)));
        fixture
    }

    fn next(&mut self, event: Event) -> Step {
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

    /// Executes requests until the elector waits or is done.
    fn execute(&mut self, mut step: Step) -> Step {
        loop {
            let event = match step {
                Step::Read => Event::Read(self.lease.clone()),
                Step::Write { over, record } => self.write(over, record),
                step @ (Step::Wait(_) | Step::Done) => return step,
            };
            step = self.next(event);
        }
    }

    /// Fails every request for this long.
    fn fail_for(&mut self, seconds: f64) {
        let end = self.now + Duration::from_secs_f64(seconds);
        let mut event = Event::Due;
        while self.now < end {
            event = match self.next(event) {
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

    /// No other candidate holds it, and this one claims that no readings are forwarded.
    fn interim(&mut self) -> Held {
        self.fail_for(9.0);
        assert_eq!(self.held(), None, "it has ended by itself");
        self.next(Event::Claim);
        let held = self.held().expect("the last holder continues");
        assert_eq!(held.by, Change::Interim);
        held
    }
}

#[test]
fn the_interim_lasts_as_long_as_the_api_is_unreachable() {
    let mut fixture = Fixture::leading();
    fixture.interim();
    fixture.fail_for(600.0);
    assert_eq!(fixture.held().map(|held| held.by), Some(Change::Interim));
    let step = fixture.next(Event::Due);
    fixture.execute(step);
    assert_eq!(fixture.held().map(|held| (held.term, held.by)), Some((2, Change::Own)), "and ends with it");
}

#[test]
fn an_interim_leadership_that_was_returned_is_granted_again() {
    let mut fixture = Fixture::leading();
    let first = fixture.interim();
    fixture.after(0.25).next(Event::Claim);
    let second = fixture.held().expect("a claim reports that no readings are forwarded");
    assert_ne!(first.grant, second.grant, "a leadership that is handed out once would not be granted again");
}

#[test]
fn an_api_that_reads_and_does_not_write_does_not_end_the_interim() {
    let mut fixture = Fixture::leading();
    fixture.interim();
    for _ in 0..100 {
        let Step::Read = fixture.after(1.0).next(Event::Due) else { panic!("it reads") };
        let Step::Write { .. } = fixture.next(Event::Read(fixture.lease.clone())) else { panic!("it tries") };
        fixture.next(Event::Failed);
        assert_eq!(fixture.held().map(|held| held.by), Some(Change::Interim));
    }
}

#[test]
fn an_api_that_reads_and_does_not_write_keeps_the_last_holder() {
    let mut fixture = Fixture::leading();
    for _ in 0..12 {
        fixture.after(1.0).next(Event::Due);
        if let Step::Read = fixture.next(Event::Refused) {
            fixture.next(Event::Read(fixture.lease.clone()));
            fixture.next(Event::Failed);
        }
    }
    fixture.next(Event::Claim);
    assert_eq!(fixture.held().map(|held| held.by), Some(Change::Interim));
}

#[test]
fn an_api_that_always_refuses_is_not_called_without_a_pause() {
    let mut fixture = Fixture::new();
    let mut step = fixture.next(Event::Due);
    let mut calls = 0;
    while !matches!(step, Step::Wait(_)) {
        calls += 1;
        assert!(calls < 10, "a stop is seen only while it waits");
        step = match step {
            Step::Read => fixture.next(Event::Read(None)),
            _ => fixture.next(Event::Refused),
        };
    }
}

#[test]
fn a_renewal_that_hangs_does_not_end_a_leadership() {
    let mut fixture = Fixture::leading();
    fixture.after(1.0).next(Event::Due);
    let step = fixture.after(1.0).next(Event::Failed);
    let Step::Wait(until) = step else { panic!("{step:?}") };
    fixture.now = until;
    let step = fixture.next(Event::Due);
    fixture.execute(step);
    assert_eq!(fixture.after(2.0).held().map(|held| held.term), Some(1));
}

#[test]
fn a_renewal_whose_answer_was_lost_does_not_keep_the_lease_at_the_end() {
    let mut fixture = Fixture::leading();
    let Step::Write { over, record } = fixture.after(1.0).next(Event::Due) else { panic!("it renews") };
    fixture.write(over, record);
    fixture.after(1.0).next(Event::Failed);
    let step = fixture.next(Event::Stop);
    assert_eq!(fixture.execute(step), Step::Done);
    assert_eq!(fixture.lease.expect("a Lease").record.holder, None, "it is released");
}

#[test]
fn a_deleted_lease_continues_its_numbering() {
    let mut fixture = Fixture::leading();
    for term in 2..5 {
        fixture.lease = None;
        let step = fixture.after(1.0).next(Event::Due);
        // the first answer is lost, and the Lease with it
        let Step::Read = fixture.next(Event::Refused) else { panic!("{step:?}") };
        let Step::Write { record, .. } = fixture.next(Event::Read(None)) else { panic!("it makes one") };
        assert_eq!(record.term, term);
        fixture.next(Event::Failed);
    }
}
